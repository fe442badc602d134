"""The report of `benchmarks.assisted`: tables and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

from asr_diarization.whisper.decoded import Decoded
from benchmarks.recordings import Recording
from benchmarks.reports.assisted_costs import cost_table
from benchmarks.reports.speed_report import processor
from benchmarks.reports.tables import DASH, table
from benchmarks.scores.counts import Ratio
from benchmarks.scores.measured import text_errors

mpl.use("Agg")
from matplotlib import pyplot as plt

TARGETS = {"0": 1.05, "1": 0.6}
"""Largest ratio to the unassisted time at batch 4, by acceptance."""


@dataclass(slots=True)
class Case:
    """One way to decode at one batch size: times of every round, and the results."""

    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Decoding time over the unassisted time of the same round."""
    whole_ratios: list[float] = field(default_factory=list)
    """The same ratio with the encoder included."""
    decoded: list[Decoded] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Recording and text of each window."""
    stats: dict[str, Any] = field(default_factory=dict)


Cases = dict[tuple[str, int, str], Case]
"""By precision, batch size, and drafter: `unassisted`, the acceptance, or `assistant`."""


def to_markdown(
    cases: Cases, short: Cases, recordings: Sequence[Recording], longest: Recording, stock: str
) -> str:
    """All tables."""
    windows = len(next(iter(cases.values())).decoded)
    rounds = len(next(iter(cases.values())).seconds)
    names = ", ".join(recording.name for recording in recordings)
    intro = (
        f"{windows} speech windows from {names}. {datetime.now(UTC):%Y-%m-%d}, "
        f"{processor()}, CPU seconds of one thread, median of {rounds} "
        f"round{'s' if rounds > 1 else ''}. "
        "In brackets: decoding and encoding together."
    )
    parts = [
        intro,
        "### Decoding time over unassisted decoding time, by acceptance (drafts cost nothing)",
        _times(cases),
        f"### {longest.name} alone ({longest.duration:.0f} s)",
        _short(short),
        "### Effect on the words",
        _words(cases, recordings),
    ]
    if stock:
        parts += ["### transformers' own assisted path", stock]
    return "\n\n".join([*parts, "### Computed, not measured", cost_table()])


def _drafters(cases: Cases) -> list[str]:
    return list(dict.fromkeys(name for _, _, name in cases if name != "unassisted"))


def _groups(cases: Cases) -> list[tuple[str, int]]:
    return list(dict.fromkeys((precision, batch) for precision, batch, _ in cases))


def _times(cases: Cases) -> str:
    drafters = _drafters(cases)
    rows = []
    for precision, batch in _groups(cases):
        plain = cases[precision, batch, "unassisted"]
        cells = [_ratio(cases[precision, batch, name]) for name in drafters]
        rows.append([precision, str(batch), f"{median(plain.seconds):.1f}", *cells])
        lengths = [str(cases[precision, batch, n].stats["draft_length"]) for n in drafters]
        rows.append([f"{precision}, mean draft", str(batch), DASH, *lengths])
    titles = [name if name == "assistant" else f"p = {name}" for name in drafters]
    return table(["precision", "batch", "unassisted s", *titles], rows)


def _ratio(case: Case) -> str:
    return f"{median(case.ratios):.2f} ({median(case.whole_ratios):.2f})"


def _short(cases: Cases) -> str:
    rows = []
    for precision, batch in _groups(cases):
        for name in ("0", "1"):
            case = cases[precision, batch, name]
            limit = DASH if batch == 1 and name == "1" else f"at most {TARGETS[name]}"
            steps = str(case.stats["steps"])
            rows.append([f"{precision}, p = {name}", str(batch), _ratio(case), steps, limit])
    return table(["", "batch", "time / unassisted", "steps", "target"], rows)


def _words(cases: Cases, recordings: Sequence[Recording]) -> str:
    """Number of rows that differ from the unassisted ones, and the word errors of both."""
    rows = []
    for precision, batch in _groups(cases):
        plain = cases[precision, batch, "unassisted"]
        base = word_errors_of(plain, recordings)
        for name in _drafters(cases):
            case = cases[precision, batch, name]
            pairs = list(zip(case.decoded, plain.decoded, strict=True))
            differ = sum(a.tokens != b.tokens for a, b in pairs)
            drafted, accepted = case.stats["drafted"], case.stats["accepted"]
            share = f"{accepted / drafted:.2f}" if drafted else DASH
            rate = word_errors_of(case, recordings)
            change = f"{(rate.percent or 0) - (base.percent or 0):+.2f}"
            cells = [share, f"{differ} of {len(pairs)}", f"{rate.percent or 0:.1f}", change]
            rows.append([f"{precision}, {name}", str(batch), *cells])
        others = [cases[precision, b, "unassisted"] for p, b in _groups(cases) if p == precision]
        pairs = list(zip(plain.decoded, others[0].decoded, strict=True))
        differ = sum(a.tokens != b.tokens for a, b in pairs)
        title = f"{precision}, unassisted, against the first batch size"
        cells = [DASH, f"{differ} of {len(pairs)}", f"{base.percent or 0:.1f}", DASH]
        rows.append([title, str(batch), *cells])
    return table(["", "batch", "accepted", "rows that differ", "WER", "change"], rows)


def word_errors_of(case: Case, recordings: Sequence[Recording]) -> Ratio:
    """Pooled WER of every recording's first windows, in their order."""
    total = Ratio()
    for recording in recordings:
        texts = dict.fromkeys(text for name, text in case.texts if name == recording.name)
        total += text_errors(recording, texts)
    return total


def draw(cases: Cases, path: Path) -> None:
    """Draw time by acceptance, one line per batch size and one panel per precision."""
    precisions = list(dict.fromkeys(precision for precision, _, _ in cases))
    figure, axes = plt.subplots(
        1,
        len(precisions),
        figsize=(5.5 * len(precisions), 4.0),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis, precision in zip(axes[0], precisions, strict=True):
        for batch in dict.fromkeys(b for p, b, _ in cases if p == precision):
            names = [name for name in _drafters(cases) if name != "assistant"]
            values = [median(cases[precision, batch, name].ratios) for name in names]
            axis.plot([float(name) for name in names], values, marker="o", label=f"batch {batch}")
        axis.axhline(1.0, color="black", linewidth=1, linestyle="--")
        axis.annotate("break-even", (0.0, 1.0), xytext=(2, 4), textcoords="offset points")
        axis.set_title(precision, loc="left")
        axis.set_xlabel("acceptance p")
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
    axes[0][0].set_ylabel("decoding time / unassisted")
    axes[0][0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
