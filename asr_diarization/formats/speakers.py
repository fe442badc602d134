"""Who speaks when, for tools that score or show it: RTTM and SegLST."""

from __future__ import annotations

from typing import Any

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


def to_seglst(transcript: Transcript, name: str = "recording") -> list[dict[str, Any]]:
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
    """RTTM is split at spaces."""
    return text.replace(" ", "_")
