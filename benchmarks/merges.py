"""Merge rules, each by a name: words and turns in, segments with speakers out.

Compare any of them on our own words and turns: `python -m benchmarks.quality --pipeline ours:NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_diarization.merging import (
    MAX_GAP_SECONDS,
    MIN_SHARE,
    assign_speakers,
    overlap,
    split_by_speaker,
)
from asr_diarization.transcript import Segment, Span, Turn
from benchmarks.values import Heard

Merge = Callable[[Heard], tuple[Segment, ...]]


def whisperx(heard: Heard, *, fill_nearest: bool = False) -> tuple[Segment, ...]:
    """The rule of whisperX: every word goes to the label with the largest overlap in regular turns.

    A word that no turn overlaps has no speaker, or, with `fill_nearest`, the one whose turn's
    middle is nearest to the word's middle, however far away.
    """
    pieces: list[Segment] = []
    for segment in heard.segments:
        words = tuple(
            replace(word, speaker=_largest(word, heard.diarization.turns, fill_nearest))
            for word in segment.words
        )
        if words:
            pieces.extend(split_by_speaker(replace(segment, words=words)))
        else:
            speaker = _largest(segment, heard.diarization.turns, fill_nearest)
            pieces.append(replace(segment, speaker=speaker))
    return tuple(pieces)


def _largest(span: Span, turns: tuple[Turn, ...], fill_nearest: bool) -> str | None:
    shared: dict[str, float] = {}
    for turn in turns:
        if seconds := overlap(span, turn):
            shared[turn.speaker] = shared.get(turn.speaker, 0.0) + seconds
    if shared:
        return max(shared, key=shared.__getitem__)
    if not fill_nearest or not turns:
        return None
    middle = (span.start + span.end) / 2
    return min(turns, key=lambda turn: abs((turn.start + turn.end) / 2 - middle)).speaker


def largest_overlap(
    heard: Heard,
    *,
    exclusive: bool = True,
    max_gap: float = MAX_GAP_SECONDS,
    min_share: float = MIN_SHARE,
) -> tuple[Segment, ...]:
    """Ours, with the choices it makes laid open."""
    diarization = heard.diarization
    turns = diarization.exclusive if exclusive else diarization.turns
    return assign_speakers(heard.segments, turns, max_gap, min_share)


MERGES: dict[str, Merge] = {
    "whisperx": whisperx,
    "whisperx-fill": lambda heard: whisperx(heard, fill_nearest=True),
    "exclusive": largest_overlap,
    "regular": lambda heard: largest_overlap(heard, exclusive=False),
    "no-gaps": lambda heard: largest_overlap(heard, max_gap=0.0),
    "gaps-0.5": lambda heard: largest_overlap(heard, max_gap=0.5),
    "words-only": lambda heard: largest_overlap(heard, min_share=2.0),
    "sentences-0.5": lambda heard: largest_overlap(heard, min_share=0.5),
    "sentences-0.8": lambda heard: largest_overlap(heard, min_share=0.8),
    "gaps-any": lambda heard: largest_overlap(heard, max_gap=float("inf")),
}
