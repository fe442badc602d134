"""Plain text: everything that was said in one line, or a conversation with speakers and times."""

from __future__ import annotations

from asr_diarization.formats.rounding import milliseconds
from asr_diarization.merging import group_by_speaker, join_texts
from asr_diarization.transcript import Transcript


def to_text(transcript: Transcript) -> str:
    """Everything that was said, in one line."""
    return join_texts(segment.text for segment in transcript.segments)


def to_conversation(transcript: Transcript) -> str:
    """One line for each utterance: `[00:07.1 SPEAKER_00] Hello.`."""
    lines = []
    for segment in group_by_speaker(transcript.segments):
        speaker = f" {segment.speaker}" if segment.speaker else ""
        lines.append(f"[{_clock(segment.start)}{speaker}] {segment.text}\n")
    return "".join(lines)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(milliseconds(seconds) / 100), 36000)
    minutes, tenths = divmod(rest, 600)
    clock = f"{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{clock}" if hours else clock
