"""The report of `benchmarks.speed`: tables and a picture."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl

from benchmarks.recordings import Recording
from benchmarks.reports.tables import DASH, table
from benchmarks.scores.counts import Ratio
from benchmarks.scores.measured import Measured

mpl.use("Agg")
from matplotlib import pyplot as plt

TITLES = {
    "seed-words": "words: seed, greedy",
    "seed-words-beams": "words: seed, transformers' own beams",
    "faster-whisper-float32": "words: faster-whisper batched float32",
    "faster-whisper-int8": "words: faster-whisper batched int8",
    "our-words-float32": "words: ours, float32",
    "our-words": "words: ours, auto",
    "stock-turns": "turns: stock pyannote",
    "our-turns": "turns: ours",
    "seed-request": "request: seed, greedy",
    "our-request": "request: ours, EndpointHandler",
}
RATIOS = (
    ("transcription", "our-words", "seed-words", None),
    ("transcription", "our-words", "faster-whisper-int8", 0.9),
    ("transcription, both float32", "our-words-float32", "faster-whisper-float32", None),
    ("diarization", "our-turns", "stock-turns", 0.35),
    ("whole request", "our-request", "seed-request", 0.3),
)
"""Title, our row, the other row, and the largest ratio of CPU seconds if there is a target."""
OURS, OTHERS = "#1f77b4", "#b0b0b0"


def to_markdown(
    measured: Sequence[Measured],
    recordings: Sequence[Recording],
    word_rates: Mapping[tuple[str, int], float | None],
    differences: Mapping[int, Ratio],
    runs: int,
) -> str:
    """All rows, the ratios with their targets, and the differences of our turns."""
    seconds = sum(recording.duration for recording in recordings)
    names = ", ".join(recording.name for recording in recordings)
    intro = (
        f"{names}: {seconds:.0f} s of audio. Median of {runs} runs, {datetime.now(UTC):%Y-%m-%d}, "
        f"{processor()}. RTF: wall seconds per second of audio. "
        "Spread: slowest run over fastest, CPU seconds."
    )
    header = ["", "threads", "CPU s", "wall s", "RTF", "spread", "start-up s", "peak MB", "WER"]
    rows = [_row(one, seconds, word_rates[one.engine, one.threads]) for one in measured]
    parts = [intro, table(header, rows), _ratios(measured)]
    for threads, ratio in sorted(differences.items()):
        parts.append(
            f"Our turns against stock pyannote's (threads: {threads}): {ratio.errors:.3f} s of "
            f"{ratio.length:.1f} s differ (DER {ratio.percent or 0.0:.2f} %, no collar)."
        )
    return "\n\n".join(parts)


def _row(one: Measured, seconds: float, rate: float | None) -> list[str]:
    return [
        TITLES[one.engine],
        str(one.threads),
        f"{one.cpu:.1f}",
        f"{one.wall:.1f}",
        f"{one.wall / seconds:.3f}",
        f"{one.spread:.2f}",
        f"{one.ready:.1f}",
        f"{one.megabytes:.0f}",
        DASH if rate is None else f"{rate:.1f}",
    ]


def _ratios(measured: Sequence[Measured]) -> str:
    """Ratios of our CPU seconds, wall seconds and start-up to those of another system."""
    found = {(one.engine, one.threads): one for one in measured}
    rows = []
    for threads in dict.fromkeys(one.threads for one in measured):
        for title, our_name, their_name, target in RATIOS:
            ours, theirs = (found.get((name, threads)) for name in (our_name, their_name))
            if ours and theirs:
                figures = (
                    ours.cpu / theirs.cpu,
                    ours.wall / theirs.wall,
                    ours.ready / theirs.ready,
                )
                limit = DASH if target is None or threads > 1 else f"at most {target}"
                cells = [f"{figure:.2f}" for figure in figures]
                rows.append([f"{title}: ours / {their_name}", str(threads), *cells, limit])
    return table(["ratio", "threads", "CPU s", "wall s", "start-up s", "target (CPU s)"], rows)


def processor() -> str:
    """Name, cores and special instructions of the machine's processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    special = [flag for flag in ("avx512_bf16", "avx512_vnni", "amx_bf16") if flag in flags.split()]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} ({len(names) or '?'} cores{', ' if special else ''}{', '.join(special)})"


def draw(measured: Sequence[Measured], seconds: float, path: Path) -> None:
    """Draw the seconds per minute of audio: one bar per row, one panel per number of threads."""
    panels = list(dict.fromkeys(one.threads for one in measured))
    height = 1.0 + 0.36 * max(sum(one.threads == threads for one in measured) for threads in panels)
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(1.0 + 6.0 * len(panels), height),
        squeeze=False,
        layout="constrained",
    )
    for axis, threads in zip(axes[0], panels, strict=True):
        rows = [one for one in measured if one.threads == threads]
        values = [(one.cpu if threads == 1 else one.wall) * 60 / seconds for one in rows]
        colours = [OURS if one.engine.startswith("our") else OTHERS for one in rows]
        bars = axis.barh([TITLES[one.engine] for one in rows], values, color=colours)
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.invert_yaxis()
        kind = "CPU" if threads == 1 else "wall-clock"
        axis.set_title(f"{threads} thread{'s' if threads > 1 else ''}", loc="left")
        axis.set_xlabel(f"{kind} seconds per minute of audio")
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
