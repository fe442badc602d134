"""A picture of one recording: who spoke, who was found, and every word that went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

from asr_diarization.transcript import Segment, Turn
from benchmarks.normalizer import normalizer
from benchmarks.recordings import Recording
from benchmarks.scoring import NOBODY, align_words, pair_speakers, word_entries
from benchmarks.values import Outcome

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D

RIGHT, WRONG_SPEAKER, WRONG_WORD = "right", "speaker", "word"
INSERTED, MISSED = "inserted", "missed"
COLOURS = {
    RIGHT: "#3a3a3a",
    WRONG_SPEAKER: "#d62728",
    WRONG_WORD: "#ff7f0e",
    INSERTED: "#9467bd",
    MISSED: "#d62728",
}
LEGEND = {
    RIGHT: "right word, right speaker",
    WRONG_SPEAKER: "on the wrong speaker",
    WRONG_WORD: "other word",
    INSERTED: "not said",
}
SECONDS_PER_INCH = 3.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One word in the picture."""

    start: float
    end: float
    lane: str
    kind: str


@dataclass(frozen=True, slots=True)
class Lanes:
    """One row of the picture: who speaks when, and the words, each in a speaker's lane."""

    turns: tuple[Turn, ...]
    words: tuple[Mark, ...]


def draw_timeline(recording: Recording, rows: Mapping[str, Outcome], path: Path) -> None:
    """Draw the reference, and below it each of `rows`; paired speakers share a colour."""
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
        lane, missed = judge(recording, outcome)  # what the last row missed stays: usually ours
        _draw(axis, title.replace("`", ""), lane, colours)
    said = [
        Mark(entry["start_time"], entry["end_time"], entry["speaker"], RIGHT)
        for entry in _entries(recording.segments, recording.language)
    ]
    title = f"{recording.name}: reference (missed by the last row: red)"
    _draw(first, title, Lanes(recording.turns, (*said, *missed)), colours)
    axes[-1, 0].set_xlabel("seconds")
    axes[-1, 0].set_xlim(0, recording.duration)
    handles = [Line2D([], [], color=COLOURS[kind], lw=5) for kind in LEGEND]
    figure.legend(handles, LEGEND.values(), loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def judge(recording: Recording, outcome: Outcome) -> tuple[Lanes, list[Mark]]:
    """The hypothesis in the reference speakers' lanes, and the words it missed."""
    transcript = outcome.transcript
    said = _entries(recording.segments, recording.language)
    heard = _entries(transcript.segments, recording.language)
    pairs = align_words(said, heard) if said and heard else [(entry, None) for entry in said]
    both = Counter((a["speaker"], b["speaker"]) for a, b in pairs if a and b)
    lanes = pair_speakers(both) if both else {}
    marks, missed = [], []
    for a, b in pairs:
        if b is None:
            missed.append(Mark(a["start_time"], a["end_time"], a["speaker"], MISSED))
        else:
            lane = lanes.get(b["speaker"], NOBODY)
            marks.append(Mark(b["start_time"], b["end_time"], lane, _kind(a, b, lane)))
    turns = [Turn(t.start, t.end, lanes.get(t.speaker, NOBODY)) for t in transcript.turns]
    return Lanes(tuple(turns), tuple(marks)), missed


def _kind(said: dict[str, Any] | None, heard: dict[str, Any], lane: str) -> str:
    if said is None:
        return INSERTED
    if said["speaker"] != lane:
        return WRONG_SPEAKER
    return RIGHT if said["words"] == heard["words"] else WRONG_WORD


def _entries(segments: Sequence[Segment], language: str | None) -> list[dict[str, Any]]:
    return list(word_entries(segments, normalizer(language), spread=True))


def _draw(axis: Any, title: str, shown: Lanes, colours: Mapping[str, Any]) -> None:
    """Turns as bands, words as ticks on them; a lane more for speakers that are nobody."""
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
