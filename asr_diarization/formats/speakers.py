"""Speaker formats for tools that score or show them: RTTM and SegLST."""

from __future__ import annotations

import re

from typing_extensions import TypedDict

from asr_diarization.formats.rounding import milliseconds, seconds
from asr_diarization.transcript import Transcript


def to_rttm(transcript: Transcript, name: str = "recording") -> str:
    """The diarization as NIST RTTM lines."""
    lines = []
    for turn in transcript.turns:
        start, end = milliseconds(turn.start), milliseconds(turn.end)
        times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
        speaker = _field(turn.speaker)
        lines.append(f"SPEAKER {_field(name)} 1 {times} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)


class SeglstSegment(TypedDict):
    """A segment as SegLST has it."""

    session_id: str
    start_time: float
    end_time: float
    speaker: str
    words: str


def to_seglst(transcript: Transcript, name: str = "recording") -> list[SeglstSegment]:
    """Segments as CHiME's SegLST, which MeetEval scores."""
    return [
        {
            "session_id": name,
            "start_time": seconds(s.start),
            "end_time": seconds(s.end),
            "speaker": s.speaker or "UNKNOWN",
            "words": s.text,
        }
        for s in transcript.segments
    ]


def _field(text: str) -> str:
    """A value of an RTTM line, which is read by splitting at spaces."""
    return re.sub(r"\s", "_", text)
