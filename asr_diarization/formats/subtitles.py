"""Subtitles: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Iterator

from asr_diarization.formats.rounding import milliseconds
from asr_diarization.transcript import Segment, Transcript, Word

MAX_CUE_SECONDS = 7.0
MAX_CUE_CHARACTERS = 84
"""Subtitles usually have two lines of 42."""


def to_srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    cues = enumerate(_cues(transcript), start=1)
    return "".join(
        f"{number}\n{_stamp(cue.start, ',')} --> {_stamp(cue.end, ',')}\n{_with_speaker(cue)}\n\n"
        for number, cue in cues
    )


def to_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles, speakers as voice tags."""
    cues = []
    for cue in _cues(transcript):
        text = _escaped(cue.text)
        voice = f"<v {_escaped(cue.speaker)}>{text}</v>" if cue.speaker else text
        cues.append(f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{voice}\n\n")
    return "WEBVTT\n\n" + "".join(cues)


def _cues(transcript: Transcript) -> list[Segment]:
    """Subtitles sorted by their starts: segments overlap where people talk at the same time."""
    cues = (cue for segment in transcript.segments for cue in _cut(segment))
    return sorted(cues, key=lambda cue: milliseconds(cue.start))


def _cut(segment: Segment) -> Iterator[Segment]:
    """Pieces of a segment that fit a subtitle: at most 7 s and 84 characters, cut between words."""
    cue: list[Word] = []
    text = ""
    for word in segment.words:
        text += word.text
        if cue and _is_too_long(cue[0], word, text.strip()):
            yield _cue(segment, cue)
            cue, text = [], word.text
        cue.append(word)
    yield _cue(segment, cue) if cue else segment


def _is_too_long(first: Word, last: Word, text: str) -> bool:
    duration = milliseconds(last.end) - milliseconds(first.start)
    return duration > 1000 * MAX_CUE_SECONDS or len(text) > MAX_CUE_CHARACTERS


def _text_of(words: list[Word]) -> str:
    return "".join(word.text for word in words).strip()


def _cue(segment: Segment, words: list[Word]) -> Segment:
    text = _text_of(words)
    end = max(word.end for word in words)
    return Segment(words[0].start, end, text, tuple(words), segment.speaker, segment.language)


def _with_speaker(segment: Segment) -> str:
    return f"{segment.speaker}: {segment.text}" if segment.speaker else segment.text


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(seconds: float, point: str) -> str:
    whole, rest = divmod(milliseconds(seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{rest:03d}"
