"""Confidence in the speaker of a segment, from the turns that overlap it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asr_diarization.merging import TurnIndex
from asr_diarization.transcript import Segment, Span, Turn

MIN_OVERLAP_SECONDS = 0.1
"""Speech of two people counts as overlapping from this length on."""


def with_confidence(
    segments: Iterable[Segment], turns: Iterable[Turn], *, separate_channels: bool = False
) -> tuple[Segment, ...]:
    """`segments` with `confidence`, and with `overlap` where other people talk as well.

    Args:
        segments: those without a speaker stay as they are.
        turns: the regular ones, which may overlap.
        separate_channels: each speaker has a channel, so that overlap does not reduce confidence.
    """
    index = TurnIndex(turns)
    return tuple(
        segment
        if segment.speaker is None
        else _rate(segment, index, separate_channels=separate_channels)
        for segment in segments
    )


def _rate(segment: Segment, index: TurnIndex, *, separate_channels: bool) -> Segment:
    """`segment` with `confidence` and `overlap`: sums over its words, or itself if it has none."""
    spans: Sequence[Span] = segment.words or (segment,)
    total = confident = overlapping = 0.0
    for span in spans:
        turns = index.around(span)
        own = _covered(span, (t for t in turns if t.speaker == segment.speaker))
        others = _covered(span, (t for t in turns if t.speaker != segment.speaker))
        shared = max(0.0, own + others - _covered(span, turns))
        total += span.end - span.start
        confident += own if separate_channels else own - shared
        overlapping += shared
    confidence = confident / total if total > 0 else None
    return replace(segment, confidence=confidence, overlap=overlapping >= MIN_OVERLAP_SECONDS)


def _covered(span: Span, turns: Iterable[Turn]) -> float:
    """Seconds of `span` that at least one of the turns covers; turns are sorted by start."""
    seconds, reached = 0.0, span.start
    for turn in turns:
        start, end = max(reached, turn.start), min(span.end, turn.end)
        if end > start:
            seconds += end - start
            reached = end
    return seconds
