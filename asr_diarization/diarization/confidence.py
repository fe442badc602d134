"""How sure it is who said a segment, from the turns it was assigned by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asr_diarization.merging import TurnIndex
from asr_diarization.transcript import Segment, Span, Turn

MIN_OVERLAP_SECONDS = 0.1
"""Two turns that share less only touch."""


def with_confidence(
    segments: Iterable[Segment], turns: Iterable[Turn], *, apart: bool = False
) -> tuple[Segment, ...]:
    """`segments` with `confidence`, and `overlap` where somebody else talks as well.

    `turns` are the regular ones: they may overlap. With speakers `apart`, each on a channel, that
    takes nothing from the confidence. Segments of nobody stay as they are.
    """
    index = TurnIndex(turns)
    return tuple(
        segment if segment.speaker is None else _judged(segment, index, apart=apart)
        for segment in segments
    )


def _judged(segment: Segment, index: TurnIndex, *, apart: bool) -> Segment:
    spans: Sequence[Span] = segment.words or (segment,)
    total = alone = shared = 0.0
    for span in spans:
        turns = index.around(span)
        own = _covered(span, (t for t in turns if t.speaker == segment.speaker))
        others = _covered(span, (t for t in turns if t.speaker != segment.speaker))
        both = max(0.0, own + others - _covered(span, turns))
        total += span.end - span.start
        alone += own if apart else own - both
        shared += both
    confidence = alone / total if total > 0 else None
    return replace(segment, confidence=confidence, overlap=shared >= MIN_OVERLAP_SECONDS)


def _covered(span: Span, turns: Iterable[Turn]) -> float:
    """Seconds of `span` in which any of the turns is; they are sorted by start."""
    seconds, reached = 0.0, span.start
    for turn in turns:
        first, last = max(reached, turn.start), min(span.end, turn.end)
        if last > first:
            seconds += last - first
            reached = last
    return seconds
