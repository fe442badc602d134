"""How fast: this project beside the seed's algorithm, faster-whisper and stock pyannote.

    python -m benchmarks.speed                                     what `make bench` runs
    python -m benchmarks.speed --data ../shared/data/dialogues --out docs/performance.md
    python -m benchmarks.speed --rows our-words faster-whisper-int8 --threads 1 --runs 5
    python -m benchmarks.speed --lengths 1 10 60                   cost per minute, memory per hour

Every row of every run is a process of its own with OMP_NUM_THREADS set; runs are interleaved, so
that a busy moment of the machine meets all rows alike, and the median of the runs counts. CPU
seconds include decoding the file; the first call of a process is not counted, start-up is a column.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from asr_diarization.transcript import Turn
from benchmarks.counts import Ratio
from benchmarks.engines import ENGINES
from benchmarks.normalizer import normalizer
from benchmarks.recordings import Recording, load_recordings
from benchmarks.scoring import diarization_error, word_errors
from benchmarks.speed_report import TITLES, draw, to_markdown
from benchmarks.store import REPOSITORY
from benchmarks.tables import table, write_section

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SLOW = ("seed-words-beams",)
"""Measured with one thread only: four times the seed's cost, and nobody's choice."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: medians over the runs, all recordings together."""

    engine: str
    threads: int
    cpu: float
    wall: float
    ready: float
    ready_cpu: float
    megabytes: float
    spread: float
    """Slowest run over fastest, in CPU seconds."""
    answers: list[dict[str, Any]]
    """Of the last run, per recording."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print and write."""
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
    """Every row, interleaved."""
    wanted = [
        (engine, threads)
        for threads in options.threads
        for engine in options.rows
        if threads == 1 or engine not in SLOW or 1 not in options.threads
    ]
    results: dict[tuple[str, int], list[dict[str, Any]]] = {key: [] for key in wanted}
    with tqdm(total=len(wanted) * options.runs, unit="process") as bar:
        for run in range(options.runs):
            for engine, threads in wanted:
                bar.set_description(f"run {run + 1}: {engine}, {threads} threads")
                result = start(engine, threads, options.models, files)
                results[engine, threads].append(result)
                bar.update()
    return [_median(engine, threads, results[engine, threads]) for engine, threads in wanted]


def start(engine: str, threads: int, models: Path, files: Sequence[Path]) -> dict[str, Any]:
    """What `benchmarks.engines` prints.

    Raises:
        RuntimeError: the process failed; the message ends with what it complained about.
    """
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.engines", engine]
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
    def total(run: dict[str, Any], what: str) -> float:
        return float(sum(cost[what] for cost in run["costs"]))

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


def word_rates(
    measured: Sequence[Measured], recordings: Sequence[Recording]
) -> dict[tuple[str, int], float | None]:
    """WER of every row that heard words."""
    rates = {}
    for row in measured:
        total = Ratio()
        for recording, answer in zip(recordings, row.answers, strict=True):
            if "texts" in answer:
                total += _errors(recording, answer["texts"])
        rates[row.engine, row.threads] = total.percent
    return rates


def _errors(recording: Recording, texts: Sequence[str]) -> Ratio:
    normalize = normalizer(recording.language)
    reference = [word for segment in recording.segments for word in normalize(segment.text)]
    hypothesis = [word for text in texts for word in normalize(text)]
    found = word_errors(reference, hypothesis)
    return Ratio(found.errors, found.length)


def turn_difference(
    measured: Sequence[Measured], recordings: Sequence[Recording]
) -> dict[int, Ratio]:
    """DER of our turns against stock pyannote's, no collar, by number of threads."""
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
    """Our whole request on the test recordings repeated to so many minutes."""
    sound = np.concatenate([r.waveform() for r in load_recordings(options.data) if r.segments])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in tqdm(options.lengths, unit="length"):
            path = Path(folder) / "long.wav"
            path.write_bytes(_wav(sound, minutes))
            result = start("our-request", options.threads[0], options.models, [path])
            cost, peak = result["costs"][0], result["peak_megabytes"]
            beyond = peak - result["loaded_megabytes"]
            each = [cost["cpu"] / minutes, cost["wall"] / minutes]
            figures = [f"{cost['cpu']:.1f}", *(f"{one:.2f}" for one in each), f"{peak:.0f}"]
            rows.append([f"{minutes:g}", *figures, f"{beyond:.0f}"])
    header = ["minutes", "CPU s", "CPU s per minute", "wall s per minute", "peak MB"]
    return table([*header, "of which after loading"], rows)


def _wav(sound: np.ndarray[Any, Any], minutes: float) -> bytes:
    samples = np.resize(sound, round(minutes * 60 * 16000))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16000)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


if __name__ == "__main__":
    main()
