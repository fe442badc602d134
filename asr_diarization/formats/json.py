"""JSON: the endpoint's response, OpenAI's two, and one segment for those who watch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asr_diarization.formats.rounding import rounded, seconds
from asr_diarization.formats.text import to_text
from asr_diarization.merging import group_by_speaker
from asr_diarization.transcript import Segment, Transcript, Word


def to_json(transcript: Transcript, warnings: Iterable[str] = ()) -> dict[str, Any]:
    """The response of the endpoint: plain dicts, lists, strings and numbers.

    `text`, `chunks` and `speakers` are shaped as in the blog post's handler; the rest is ours.
    """
    utterances = group_by_speaker(transcript.segments)
    return {
        "text": to_text(transcript),
        "chunks": [
            {"text": s.text, "timestamp": [seconds(s.start), seconds(s.end)]}
            for s in transcript.segments
        ],
        "speakers": [
            {
                "speaker": s.speaker,
                "text": s.text,
                "timestamp": [seconds(s.start), seconds(s.end)],
            }
            for s in utterances
            if transcript.turns
        ],
        "language": transcript.language,
        "duration": seconds(transcript.duration),
        "words": [_word(word) for s in transcript.segments for word in s.words],
        "segments": [
            {
                "start": seconds(s.start),
                "end": seconds(s.end),
                "text": s.text,
                "speaker": s.speaker,
                "language": s.language,
                "speaker_confidence": rounded(s.confidence),
                "overlap": s.overlap,
            }
            for s in transcript.segments
        ],
        "turns": [
            {"speaker": t.speaker, "start": seconds(t.start), "end": seconds(t.end)}
            for t in transcript.turns
        ],
        **_voices(transcript),
        "warnings": [*warnings, *transcript.warnings],
        "stats": dict(transcript.stats),
    }


def _voices(transcript: Transcript) -> dict[str, Any]:
    """What is known of voices, where it was asked for."""
    similarities = {name: rounded(value) for name, value in transcript.similarities.items()}
    embeddings = {name: list(vector) for name, vector in transcript.embeddings.items()}
    found = {"similarities": similarities, "embeddings": embeddings}
    return {name: values for name, values in found.items() if values}


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text.strip(),
        "start": seconds(word.start),
        "end": seconds(word.end),
        "probability": rounded(word.probability),
        "speaker": word.speaker,
    }


def to_segment(segment: Segment) -> dict[str, Any]:
    """One segment by itself, for callers who watch it being transcribed."""
    return {
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": segment.text,
        "words": [_word(word) for word in segment.words],
    }


def to_verbose_json(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `verbose_json`: segments and words with times, in seconds."""
    return {
        "task": "transcribe",
        "language": transcript.language,
        "duration": seconds(transcript.duration),
        "text": to_text(transcript),
        "segments": [
            {"id": i, "start": seconds(s.start), "end": seconds(s.end), "text": s.text}
            for i, s in enumerate(transcript.segments)
        ],
        "words": [
            {"word": w.text.strip(), "start": seconds(w.start), "end": seconds(w.end)}
            for s in transcript.segments
            for w in s.words
        ],
    }


def to_diarized_json(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's `diarized_json`: segments with speakers; words are added."""
    return {
        "task": "transcribe",
        "duration": seconds(transcript.duration),
        "text": to_text(transcript),
        "segments": [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{i}",
                "start": seconds(s.start),
                "end": seconds(s.end),
                "text": s.text,
                "speaker": s.speaker or "UNKNOWN",
                "words": [_word(word) for word in s.words],
            }
            for i, s in enumerate(transcript.segments)
        ],
    }
