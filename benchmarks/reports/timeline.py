"""A picture of one recording: reference turns, hypothesis turns, and every wrong word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

from asr_diarization.transcript import Segment, Turn
from benchmarks.recordings import Recording
from benchmarks.scores.normalizer import normalizer
from benchmarks.scores.scoring import NOBODY, align_words, pair_speakers, word_entries
from benchmarks.systems.values import Outcome

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

CORRECT, WRONG_SPEAKER, WRONG_WORD = "correct", "speaker", "word"
INSERTED, MISSED = "inserted", "missed"
COLOURS = {
    CORRECT: "#3a3a3a",
    WRONG_SPEAKER: "#d62728",
    WRONG_WORD: "#ff7f0e",
    INSERTED: "#9467bd",
    MISSED: "#d62728",
}
LEGEND = {
    CORRECT: "correct word, correct speaker",
    WRONG_SPEAKER: "wrong speaker",
    WRONG_WORD: "wrong word",
    INSERTED: "inserted word",
}
SECONDS_PER_INCH = 3.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A word in the picture."""

    start: float
    end: float
    lane: str
    kind: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """One row of the picture: turns and words, each in the lane of a speaker."""

    turns: tuple[Turn, ...]
    words: tuple[Mark, ...]


def draw_timeline(recording: Recording, rows: Mapping[str, Outcome], path: Path) -> None:
    """Draw the reference, and below it each of `rows`; paired speakers have the same colour."""
    speakers = sorted({turn.speaker for turn in recording.turns})
    colours = {who: plt.get_cmap("Set2")(number % 8) for number, who in enumerate(speakers)}
    width = max(10.0, recording.duration / SECONDS_PER_INCH)
    height = 0.9 + 0.45 * len(speakers) + 0.95 * len(rows)
    heights = [max(1, len(speakers)), *[len(speakers) + 1] * len(rows)]
    figure, axes = plt.subplots(
        1 + len(rows), 1, sharex=True, figsize=(width, max(3.0, 1.6 * height)),
        gridspec_kw={"height_ratios": heights}, layout="constrained", squeeze=False,
    )  # fmt: skip
    first, *others = axes[:, 0]
    missed: list[Mark] = []
    for axis, (title, outcome) in zip(others, rows.items(), strict=True):
        lanes, missed = compare(recording, outcome)  # the words missed by the last row are drawn
        _draw(axis, title.replace("`", ""), lanes, colours)
    reference = [
        Mark(entry["start_time"], entry["end_time"], entry["speaker"], CORRECT)
        for entry in _entries(recording.segments, recording.language)
    ]
    title = f"{recording.name}: reference (missed by the last row: red)"
    _draw(first, title, Lanes(recording.turns, (*reference, *missed)), colours)
    axes[-1, 0].set_xlabel("seconds")
    axes[-1, 0].set_xlim(0, recording.duration)
    handles = [Line2D([], [], color=COLOURS[kind], lw=5) for kind in LEGEND]
    figure.legend(handles, LEGEND.values(), loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def compare(recording: Recording, outcome: Outcome) -> tuple[Lanes, list[Mark]]:
    """The hypothesis in the lanes of the reference speakers, and the missed words."""
    transcript = outcome.transcript
    reference = _entries(recording.segments, recording.language)
    hypothesis = _entries(transcript.segments, recording.language)
    if reference and hypothesis:
        pairs = align_words(reference, hypothesis)
    else:
        pairs = [(entry, None) for entry in reference]
    common = Counter((a["speaker"], b["speaker"]) for a, b in pairs if a and b)
    lanes = pair_speakers(common) if common else {}
    marks, missed = [], []
    for a, b in pairs:
        if b is None:
            missed.append(Mark(a["start_time"], a["end_time"], a["speaker"], MISSED))
        else:
            lane = lanes.get(b["speaker"], NOBODY)
            marks.append(Mark(b["start_time"], b["end_time"], lane, _kind(a, b, lane)))
    turns = [Turn(t.start, t.end, lanes.get(t.speaker, NOBODY)) for t in transcript.turns]
    return Lanes(tuple(turns), tuple(marks)), missed


def _kind(reference: dict[str, Any] | None, hypothesis: dict[str, Any], lane: str) -> str:
    if reference is None:
        return INSERTED
    if reference["speaker"] != lane:
        return WRONG_SPEAKER
    return CORRECT if reference["words"] == hypothesis["words"] else WRONG_WORD


def _entries(segments: Sequence[Segment], language: str | None) -> list[dict[str, Any]]:
    return list(word_entries(segments, normalizer(language), spread=True))


def _draw(axis: Any, title: str, shown: Lanes, colours: Mapping[str, Any]) -> None:
    """Turns as bands and words as ticks on them; unpaired speakers share one more lane."""
    lanes = [*colours]
    if any(one == NOBODY for one in (*(m.lane for m in shown.words), *_speakers(shown))):
        lanes.append(NOBODY)
    height = {lane: -number for number, lane in enumerate(lanes)}
    for turn in shown.turns:
        colour = colours.get(turn.speaker, "#dddddd")
        axis.barh(height[turn.speaker], turn.end - turn.start, left=turn.start, height=0.8,
                  color=colour, alpha=0.55, linewidth=0)  # fmt: skip
    for word in shown.words:
        axis.barh(height[word.lane], max(0.05, word.end - word.start - 0.03), left=word.start,
                  height=0.32, color=COLOURS[word.kind], linewidth=0)  # fmt: skip
    axis.set_yticks(list(height.values()), lanes)
    axis.set_ylim(-len(lanes) + 0.5, 0.5)
    axis.set_title(title, loc="left", fontsize=10)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False)


def _speakers(shown: Lanes) -> set[str]:
    return {turn.speaker for turn in shown.turns}
