"""Speed of this project beside the seed's algorithm, faster-whisper and stock pyannote.

    python -m benchmarks.speed                                     what `make bench` runs
    python -m benchmarks.speed --data DIALOGUES_FOLDER --out docs/performance.md
    python -m benchmarks.speed --rows our-words faster-whisper-int8 --threads 1 --runs 5
    python -m benchmarks.speed --lengths 1 10 60                   cost and memory by length

Every row of every run is a process with OMP_NUM_THREADS set. Runs are interleaved, so that other
load on the machine affects all rows, and the median of the runs counts. CPU seconds include
decoding the file; the first call of a process is a warm-up and is not counted. Start-up has its own
column.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.transcript import Turn
from benchmarks.recordings import Recording, load_recordings, wav_bytes
from benchmarks.reports.speed_report import TITLES, draw, to_markdown
from benchmarks.reports.tables import table, write_section
from benchmarks.scores.counts import Ratio
from benchmarks.scores.measured import Measured, word_rates
from benchmarks.scores.scoring import diarization_error
from benchmarks.store import REPOSITORY
from benchmarks.systems.engines import ENGINES

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SLOW = ("seed-words-beams",)
"""Measured with one thread only: it costs four times as much as the seed with greedy decoding."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the report and write it."""
    options = parse_arguments(arguments)
    if options.lengths:
        print(cost_by_length(options))
        return
    recordings = [r for r in load_recordings(options.data) if r.segments]
    measured = measure(options, [recording.path for recording in recordings])
    report = to_markdown(measured, recordings, word_rates(measured, recordings),
                         turn_difference(measured, recordings), options.runs)  # fmt: skip
    print(report)
    write_section(options.out, "make bench", report)
    draw(measured, sum(recording.duration for recording in recordings), options.picture)
    print(f"\nwritten to {options.out} and {options.picture}")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = "; ".join(f"{name}: {title}" for name, title in TITLES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=__doc__,
        epilog=f"rows: {names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    dialogues, out = str(REPOSITORY / "tests/data/dialogues"), REPOSITORY / "out"
    everywhere = sorted({1, os.cpu_count() or 1})
    add("--data", nargs="+", default=[dialogues], help="folders; recordings with speakers are used")
    add("--rows", nargs="+", choices=ENGINES, default=list(ENGINES), help="default: all")
    add("--threads", nargs="+", type=int, default=everywhere, help="default: one, and all")
    add("--runs", type=int, default=3, help="of which the median counts (default: 3)")
    add("--lengths", nargs="+", type=float, metavar="MINUTES", help="our request by length instead")
    add("--out", type=Path, default=out / "speed.md", help="Markdown file with a generated section")
    add("--picture", type=Path, default=out / "speed.png", help="where to draw it")
    add("--models", type=Path, default=REPOSITORY / "models", help="the local models")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, files: Sequence[Path]) -> list[Measured]:
    """All rows, with interleaved runs."""
    rows = [
        (engine, threads)
        for threads in options.threads
        for engine in options.rows
        if threads == 1 or engine not in SLOW or 1 not in options.threads
    ]
    results: dict[tuple[str, int], list[dict[str, Any]]] = {key: [] for key in rows}
    with tqdm(total=len(rows) * options.runs, unit="process") as bar:
        for run in range(options.runs):
            for engine, threads in rows:
                bar.set_description(f"run {run + 1}: {engine}, {threads} threads")
                result = start(engine, threads, options.models, files)
                results[engine, threads].append(result)
                bar.update()
    return [_median(engine, threads, results[engine, threads]) for engine, threads in rows]


def start(engine: str, threads: int, models: Path, files: Sequence[Path]) -> dict[str, Any]:
    """Run `benchmarks.systems.engines` as a process; the result that it prints.

    Raises:
        RuntimeError: the process failed; the message has the end of its standard error.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.systems.engines", engine]
    command += ["--models", str(models.resolve()), "--threads", str(threads)]
    done = subprocess.run(
        [*command, *(str(path.resolve()) for path in files)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{engine} failed:\n{done.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _median(engine: str, threads: int, runs: Sequence[dict[str, Any]]) -> Measured:
    def total(run: dict[str, Any], kind: str) -> float:
        return float(sum(cost[kind] for cost in run["costs"]))

    cpu = [total(run, "cpu") for run in runs]
    return Measured(
        engine,
        threads,
        median(cpu),
        median(total(run, "wall") for run in runs),
        median(run["ready"]["wall"] for run in runs),
        median(run["ready"]["cpu"] for run in runs),
        median(run["peak_megabytes"] for run in runs),
        max(cpu) / min(cpu),
        runs[-1]["answers"],
    )


def turn_difference(
    measured: Sequence[Measured], recordings: Sequence[Recording]
) -> dict[int, Ratio]:
    """DER of our turns with stock pyannote's as reference, without collar, by number of threads."""
    rows = {(row.engine, row.threads): row.answers for row in measured}
    differences = {}
    for threads in {row.threads for row in measured}:
        ours, stock = (rows.get((name, threads)) for name in ("our-turns", "stock-turns"))
        if not ours or not stock:
            continue
        pairs = zip(recordings, stock, ours, strict=True)
        errors = (
            diarization_error(_turns(a), _turns(b), recording.duration, 0.0)
            for recording, a, b in pairs
        )
        differences[threads] = sum(errors, Ratio())
    return differences


def _turns(answer: dict[str, Any]) -> list[Turn]:
    return [Turn(start, end, speaker) for start, end, speaker in answer["turns"]]


def cost_by_length(options: argparse.Namespace) -> str:
    """Cost and memory of our whole request, on the test recordings repeated to each length."""
    samples = np.concatenate([r.waveform() for r in load_recordings(options.data) if r.segments])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in tqdm(options.lengths, unit="length"):
            path = Path(folder) / "long.wav"
            path.write_bytes(wav_bytes(np.resize(samples, round(minutes * 60 * SAMPLE_RATE))))
            result = start("our-request", options.threads[0], options.models, [path])
            cost, peak = result["costs"][0], result["peak_megabytes"]
            after_loading = peak - result["loaded_megabytes"]
            per_minute = [cost["cpu"] / minutes, cost["wall"] / minutes]
            figures = [f"{cost['cpu']:.1f}", *(f"{one:.2f}" for one in per_minute), f"{peak:.0f}"]
            rows.append([f"{minutes:g}", *figures, f"{after_loading:.0f}"])
    header = ["minutes", "CPU s", "CPU s per minute", "wall s per minute", "peak MB"]
    return table([*header, "of which after loading"], rows)


if __name__ == "__main__":
    main()
