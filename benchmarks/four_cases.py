"""The seed's four cases through a running server: a short and a long recording, assisted or not.

    python -m benchmarks.four_cases                     starts a server with the local models
    python -m benchmarks.four_cases --url http://host:8000 --rounds 10    asks your server

The local models have no distilled assistant: whisper-base assists itself, so every draft is
accepted and none is cheap. It shows the cost of an assistant where drafts cannot save time.
API_KEY is sent if it is set.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import requests

from benchmarks.reports.tables import table, write_section
from benchmarks.store import REPOSITORY
from benchmarks.systems.served import serving

DATA = REPOSITORY / "tests" / "data"
RECORDINGS = {
    "short": DATA / "formats" / "sample1.flac",
    "long": DATA / "dialogues" / "d1_1min_2spk.flac",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the report and write it."""
    options = parse_arguments(arguments)
    models = options.models.resolve()
    assistant = str(models / "whisper-base")
    with (
        nullcontext(None)
        if options.url
        else serving(models, ASSISTANT_MODEL=assistant, OMP_NUM_THREADS="1")
    ) as server:
        report = measure(options.url or server.url, options.rounds)
    print(report)
    write_section(options.out, "four cases", report)
    print(f"\nwritten to {options.out}")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.four_cases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", help="a server that is running already")
    add("--rounds", type=int, default=5, help="of which the median counts (default: 5)")
    add("--models", type=Path, default=REPOSITORY / "models", help="the local models")
    add("--out", type=Path, default=REPOSITORY / "out" / "four_cases.md",
        help="Markdown with a generated section")  # fmt: skip
    return parser.parse_args(arguments)


def measure(url: str, rounds: int) -> str:
    """A row per case; every round runs all cases, so that other load affects all of them."""
    cases = list(product(RECORDINGS, (False, True)))
    seconds: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    drafts: dict[tuple[str, bool], dict[str, float]] = {}
    durations: dict[str, float] = {}
    for round_ in range(rounds + 1):
        for name, assisted in cases:
            began = time.perf_counter()
            answer = _ask(url, RECORDINGS[name], assisted=assisted)
            if round_:  # the first round is a warm-up
                seconds[name, assisted].append(time.perf_counter() - began)
            durations[name] = answer["duration"]
            drafts[name, assisted] = answer["stats"].get("speculative", {})
    rows = []
    for name, assisted in cases:
        stats = drafts[name, assisted]
        accepted = f"{stats['accepted']} of {stats['drafted']}" if stats else "–"
        taken = [f"{pick(seconds[name, assisted]):.2f}" for pick in (statistics.median, min, max)]
        rows.append(
            [f"{name}, {durations[name]:.0f} s", "yes" if assisted else "no", *taken, accepted]
        )
    header = ["recording", "assisted", "median s", "fastest", "slowest", "drafts accepted"]
    return table(header, rows)


def _ask(url: str, audio: Path, *, assisted: bool) -> Any:
    key = os.environ.get("API_KEY")
    answer = requests.post(
        f"{url}/predict",
        data=audio.read_bytes(),
        params={"assisted": str(assisted).lower(), "diarize": "false"},
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=600,
    )
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    main()
