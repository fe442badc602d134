"""A transcript in every form callers ask for; the only place that rounds.

Every form is made of whole milliseconds and of what is seen of the words, so that whoever has the
JSON can write all others from it, as the page at `/ui` does (`ui/js/formats.js`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from diarization_utils import Segment, Transcript, Word, group_by_speaker, join_texts

MAX_CUE_SECONDS = 7.0
MAX_CUE_CHARACTERS = 84
"""Two lines of 42, what subtitles usually hold."""


def _seconds(value: float) -> float:
    return round(value, 3)


def _milliseconds(value: float) -> int:
    return round(_seconds(value) * 1000)


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def to_text(transcript: Transcript) -> str:
    """Everything that was said, in one line."""
    return join_texts(segment.text for segment in transcript.segments)


def to_json(transcript: Transcript, warnings: Iterable[str] = ()) -> dict[str, Any]:
    """The response of the endpoint: plain dicts, lists, strings and numbers.

    `text`, `chunks` and `speakers` are shaped as in the blog post's handler; the rest is ours.
    """
    utterances = group_by_speaker(transcript.segments)
    return {
        "text": to_text(transcript),
        "chunks": [
            {"text": s.text, "timestamp": [_seconds(s.start), _seconds(s.end)]}
            for s in transcript.segments
        ],
        "speakers": [
            {
                "speaker": s.speaker,
                "text": s.text,
                "timestamp": [_seconds(s.start), _seconds(s.end)],
            }
            for s in utterances
            if transcript.turns
        ],
        "language": transcript.language,
        "duration": _seconds(transcript.duration),
        "words": [_word(word) for s in transcript.segments for word in s.words],
        "segments": [
            {
                "start": _seconds(s.start),
                "end": _seconds(s.end),
                "text": s.text,
                "speaker": s.speaker,
                "language": s.language,
                "speaker_confidence": _rounded(s.confidence),
                "overlap": s.overlap,
            }
            for s in transcript.segments
        ],
        "turns": [
            {"speaker": t.speaker, "start": _seconds(t.start), "end": _seconds(t.end)}
            for t in transcript.turns
        ],
        **_voices(transcript),
        "warnings": [*warnings, *transcript.warnings],
        "stats": dict(transcript.stats),
    }


def _voices(transcript: Transcript) -> dict[str, Any]:
    """What is known of voices, where it was asked for."""
    similarities = {name: _rounded(value) for name, value in transcript.similarities.items()}
    embeddings = {name: list(vector) for name, vector in transcript.embeddings.items()}
    found = {"similarities": similarities, "embeddings": embeddings}
    return {name: values for name, values in found.items() if values}


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text.strip(),
        "start": _seconds(word.start),
        "end": _seconds(word.end),
        "probability": _rounded(word.probability),
        "speaker": word.speaker,
    }


def to_segment(segment: Segment) -> dict[str, Any]:
    """One segment by itself, for callers who watch it being transcribed."""
    return {
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "words": [_word(word) for word in segment.words],
    }


def to_conversation(transcript: Transcript) -> str:
    """One line for each utterance, to read, with times: `[00:07.1 SPEAKER_00] Hello.`."""
    lines = []
    for segment in group_by_speaker(transcript.segments):
        who = f" {segment.speaker}" if segment.speaker else ""
        lines.append(f"[{_clock(segment.start)}{who}] {segment.text}\n")
    return "".join(lines)


def to_srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    cues = enumerate(_cues(transcript), start=1)
    return "".join(
        f"{number}\n{_stamp(cue.start, ',')} --> {_stamp(cue.end, ',')}\n{_spoken(cue)}\n\n"
        for number, cue in cues
    )


def to_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles, speakers as voice tags."""
    cues = []
    for cue in _cues(transcript):
        text = _markup(cue.text)
        voice = f"<v {_markup(cue.speaker)}>{text}</v>" if cue.speaker else text
        cues.append(f"{_stamp(cue.start, '.')} --> {_stamp(cue.end, '.')}\n{voice}\n\n")
    return "WEBVTT\n\n" + "".join(cues)


def to_rttm(transcript: Transcript, name: str = "recording") -> str:
    """The diarization as NIST RTTM lines."""
    lines = []
    for turn in transcript.turns:
        start, end = _milliseconds(turn.start), _milliseconds(turn.end)
        times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
        speaker = _field(turn.speaker)
        lines.append(f"SPEAKER {_field(name)} 1 {times} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)


def to_seglst(transcript: Transcript, name: str = "recording") -> list[dict[str, Any]]:
    """Segments as CHiME's SegLST, which MeetEval scores."""
    return [
        {
            "session_id": name,
            "start_time": _seconds(s.start),
            "end_time": _seconds(s.end),
            "speaker": s.speaker or "UNKNOWN",
            "words": s.text,
        }
        for s in transcript.segments
    ]


def to_verbose_json(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `verbose_json`: segments and words with times, in seconds."""
    return {
        "task": "transcribe",
        "language": transcript.language,
        "duration": _seconds(transcript.duration),
        "text": to_text(transcript),
        "segments": [
            {"id": i, "start": _seconds(s.start), "end": _seconds(s.end), "text": s.text}
            for i, s in enumerate(transcript.segments)
        ],
        "words": [
            {"word": w.text.strip(), "start": _seconds(w.start), "end": _seconds(w.end)}
            for s in transcript.segments
            for w in s.words
        ],
    }


def to_diarized_json(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `diarized_json`: segments with speakers; words are added."""
    return {
        "task": "transcribe",
        "duration": _seconds(transcript.duration),
        "text": to_text(transcript),
        "segments": [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{i}",
                "start": _seconds(s.start),
                "end": _seconds(s.end),
                "text": s.text,
                "speaker": s.speaker or "UNKNOWN",
                "words": [_word(word) for word in s.words],
            }
            for i, s in enumerate(transcript.segments)
        ],
    }


def _dumped(form: Callable[[Transcript], object]) -> Callable[[Transcript, str], str]:
    return lambda transcript, _: json.dumps(form(transcript), ensure_ascii=False, indent=2) + "\n"


FORMATS: Mapping[str, tuple[str, Callable[[Transcript, str], str]]] = {
    "json": ("json", _dumped(to_json)),
    "verbose_json": ("json", _dumped(to_verbose_json)),
    "diarized_json": ("json", _dumped(to_diarized_json)),
    "text": ("txt", lambda transcript, _: to_conversation(transcript)),
    "srt": ("srt", lambda transcript, _: to_srt(transcript)),
    "vtt": ("vtt", lambda transcript, _: to_vtt(transcript)),
    "rttm": ("rttm", to_rttm),
    "seglst": (
        "json",
        lambda transcript, name: (
            json.dumps(to_seglst(transcript, name), ensure_ascii=False, indent=2) + "\n"
        ),
    ),
}
"""Name of a format -> (file suffix, what writes a transcript of the recording called so)."""


def _cues(transcript: Transcript) -> list[Segment]:
    """Subtitles in the order of their starts: where people talk at once, segments overlap."""
    cues = (cue for segment in transcript.segments for cue in _cut(segment))
    return sorted(cues, key=lambda cue: _milliseconds(cue.start))


def _cut(segment: Segment) -> Iterator[Segment]:
    """A segment as what fits a subtitle: at most 7 s and 84 characters, cut between words."""
    cue: list[Word] = []
    for word in segment.words:
        if cue and _is_too_long([*cue, word]):
            yield _cue(segment, cue)
            cue = []
        cue.append(word)
    yield _cue(segment, cue) if cue else segment


def _is_too_long(words: list[Word]) -> bool:
    lasts = _milliseconds(words[-1].end) - _milliseconds(words[0].start)
    return lasts > 1000 * MAX_CUE_SECONDS or len(_shown(words)) > MAX_CUE_CHARACTERS


def _shown(words: list[Word]) -> str:
    return "".join(word.text for word in words).strip()


def _cue(segment: Segment, words: list[Word]) -> Segment:
    text = _shown(words)
    end = max(word.end for word in words)
    return Segment(words[0].start, end, text, tuple(words), segment.speaker, segment.language)


def _spoken(segment: Segment) -> str:
    return f"{segment.speaker}: {segment.text}" if segment.speaker else segment.text


def _markup(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _field(text: str) -> str:
    """RTTM is split at spaces."""
    return text.replace(" ", "_")


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(_milliseconds(seconds) / 100), 36000)
    minutes, tenths = divmod(rest, 600)
    clock = f"{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{clock}" if hours else clock


def _stamp(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(_milliseconds(seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{milliseconds:03d}"
