"""Merging and its data types, for a handler of your own.

`assign_speakers(segments, turns)` gives every word of the segments its speaker.
"""

from asr_diarization.merging import (
    MAX_GAP_SECONDS,
    MIN_SHARE,
    TurnIndex,
    assign_speakers,
    dominant_speaker,
    gap,
    group_by_speaker,
    nearest_speaker,
    overlap,
    smooth_sentences,
    split_by_speaker,
)
from asr_diarization.transcript import Diarization, Segment, Span, Transcript, Turn, Word

__all__ = [
    "MAX_GAP_SECONDS",
    "MIN_SHARE",
    "Diarization",
    "Segment",
    "Span",
    "Transcript",
    "Turn",
    "TurnIndex",
    "Word",
    "assign_speakers",
    "dominant_speaker",
    "gap",
    "group_by_speaker",
    "nearest_speaker",
    "overlap",
    "smooth_sentences",
    "split_by_speaker",
]
