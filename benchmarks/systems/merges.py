"""Merge rules by name: words and turns in, segments with speakers out.

To compare them on our own words and turns: `python -m benchmarks.quality --pipeline ours:NAME`.
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
from benchmarks.systems.values import MergeInput

Merge = Callable[[MergeInput], tuple[Segment, ...]]


def whisperx(merge_input: MergeInput, *, fill_nearest: bool = False) -> tuple[Segment, ...]:
    """The rule of whisperX: a word gets the speaker whose regular turns overlap it most.

    A word without any overlap has no speaker; with `fill_nearest`, it gets the speaker of the turn
    whose middle is nearest to its own middle, at any distance.
    """
    pieces: list[Segment] = []
    for segment in merge_input.segments:
        words = tuple(
            replace(word, speaker=_largest(word, merge_input.diarization.turns, fill_nearest))
            for word in segment.words
        )
        if words:
            pieces.extend(split_by_speaker(replace(segment, words=words)))
        else:
            speaker = _largest(segment, merge_input.diarization.turns, fill_nearest)
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
    merge_input: MergeInput,
    *,
    exclusive: bool = True,
    max_gap: float = MAX_GAP_SECONDS,
    min_share: float = MIN_SHARE,
) -> tuple[Segment, ...]:
    """Our rule, with its choices as parameters."""
    diarization = merge_input.diarization
    turns = diarization.exclusive if exclusive else diarization.turns
    return assign_speakers(merge_input.segments, turns, max_gap, min_share)


MERGES: dict[str, Merge] = {
    "whisperx": whisperx,
    "whisperx-fill": lambda merge_input: whisperx(merge_input, fill_nearest=True),
    "exclusive": largest_overlap,
    "regular": lambda merge_input: largest_overlap(merge_input, exclusive=False),
    "no-gaps": lambda merge_input: largest_overlap(merge_input, max_gap=0.0),
    "gaps-0.5": lambda merge_input: largest_overlap(merge_input, max_gap=0.5),
    "words-only": lambda merge_input: largest_overlap(merge_input, min_share=2.0),
    "sentences-0.5": lambda merge_input: largest_overlap(merge_input, min_share=0.5),
    "sentences-0.8": lambda merge_input: largest_overlap(merge_input, min_share=0.8),
    "gaps-any": lambda merge_input: largest_overlap(merge_input, max_gap=float("inf")),
}
