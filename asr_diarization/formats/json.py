"""JSON: the endpoint's response and back, OpenAI's formats, and one segment of a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from asr_diarization.errors import InvalidParameterError
from asr_diarization.formats.openai_response import DiarizedJson, TextJson, VerboseJson
from asr_diarization.formats.response import (
    ResponseJson,
    SegmentEventJson,
    SegmentJson,
    StatsJson,
    TranscriptJson,
    VoicesJson,
    WordJson,
)
from asr_diarization.formats.rounding import rounded, rounded_if_known, seconds
from asr_diarization.formats.text import to_text
from asr_diarization.merging import group_by_speaker
from asr_diarization.transcript import Segment, Transcript, Turn, Word


def to_json(transcript: Transcript, warnings: Iterable[str] = ()) -> ResponseJson:
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
        "segments": [_segment(segment) for segment in transcript.segments],
        "turns": [
            {"speaker": t.speaker, "start": seconds(t.start), "end": seconds(t.end)}
            for t in transcript.turns
        ],
        **_voices(transcript),
        "warnings": [*warnings, *transcript.warnings],
        "stats": cast("StatsJson", dict(transcript.stats)),
    }


def _segment(segment: Segment) -> SegmentJson:
    return {
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": segment.text,
        "speaker": segment.speaker,
        "language": segment.language,
        "speaker_confidence": rounded_if_known(segment.confidence),
        "overlap": segment.overlap,
    }


def _voices(transcript: Transcript) -> VoicesJson:
    """Similarities and embeddings, each where there are any."""
    voices: VoicesJson = {}
    if transcript.similarities:
        voices["similarities"] = {n: rounded(v) for n, v in transcript.similarities.items()}
    if transcript.embeddings:
        voices["embeddings"] = {name: list(v) for name, v in transcript.embeddings.items()}
    return voices


def _word(word: Word) -> WordJson:
    return {
        "word": word.text.strip(),
        "start": seconds(word.start),
        "end": seconds(word.end),
        "probability": rounded_if_known(word.probability),
        "speaker": word.speaker,
    }


def from_json(data: TranscriptJson) -> Transcript:
    """The transcript that `data`, validated, was written from; times have three decimals.

    `text`, `chunks` and `speakers` are not read: they are made from the rest.

    Raises:
        InvalidParameterError: a word, segment or turn ends before it begins.
    """
    try:
        words = [
            Word(w["word"].strip(), w["start"], w["end"], w["probability"], w["speaker"])
            for w in data["words"]
        ]
        return Transcript(
            language=data["language"],
            duration=data["duration"],
            segments=tuple(_segments(data["segments"], words)),
            turns=tuple(Turn(t["start"], t["end"], t["speaker"]) for t in data["turns"]),
            warnings=tuple(data["warnings"]),
            stats=data["stats"],
            similarities=data.get("similarities", {}),
            embeddings={n: tuple(vector) for n, vector in data.get("embeddings", {}).items()},
        )
    except ValueError as error:
        raise InvalidParameterError(f"transcript: {error}") from error


def _segments(segments: Iterable[SegmentJson], words: Sequence[Word]) -> Iterator[Segment]:
    """Segments with their words, which stand in the same order.

    A segment whose text was changed, so that its words do not spell it, has none.
    """
    position = 0
    for s in segments:
        own = _words_that_spell(s, words, position)
        position = position + len(own) if own else _next_segment(s, words, position)
        yield Segment(
            s["start"],
            s["end"],
            s["text"],
            own,
            s["speaker"],
            s["language"],
            s["overlap"],
            s["speaker_confidence"],
        )


def _words_that_spell(segment: SegmentJson, words: Sequence[Word], first: int) -> tuple[Word, ...]:
    """The words from `first` on that spell the segment, or none.

    Each gets back the spaces that the text has in front of it; some words are blank.
    """
    text, position = segment["text"].rstrip(), 0
    spelled: list[Word] = []
    for index in range(first, len(words)):
        word, end = words[index], position
        if not _is_inside(word, segment) or (word.text and position == len(text)):
            break
        if word.text:
            while text[end].isspace():
                end += 1
            end += len(word.text)
        if not text.endswith(word.text, position, end):
            return ()
        spelled.append(replace(word, text=text[position:end]))
        position = end
    return tuple(spelled) if position == len(text) else ()


def _next_segment(segment: SegmentJson, words: Sequence[Word], first: int) -> int:
    """Where the words of the next segment begin, when those from `first` on do not spell this one.

    Its own were those of its speaker in its time.
    """
    while segment["text"] and first < len(words):
        word = words[first]
        if word.speaker != segment["speaker"] or not _is_inside(word, segment):
            break
        first += 1
    return first


def _is_inside(word: Word, segment: SegmentJson) -> bool:
    return segment["start"] <= word.start and word.end <= segment["end"]


def to_segment(segment: Segment) -> SegmentEventJson:
    """One segment by itself, for callers who watch it being transcribed."""
    return {
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": segment.text,
        "words": [_word(word) for word in segment.words],
    }


def to_text_json(transcript: Transcript) -> TextJson:
    """OpenAI's `json`: the text alone."""
    return {"text": to_text(transcript)}


def to_verbose_json(transcript: Transcript) -> VerboseJson:
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


def to_diarized_json(transcript: Transcript) -> DiarizedJson:
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
