"""Tokens and their times to segments and words, in times of the recording."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from asr_diarization.audio.windows import Window
from asr_diarization.transcript import Segment, Word
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.vocabulary import Vocabulary


def text_tokens(decoded: Decoded, vocabulary: Vocabulary) -> list[int]:
    """The tokens that spell text; timestamps and other marks left out."""
    return [token for token in decoded.tokens if token < vocabulary.end]


def build_segments(
    window: Window,
    decoded: Decoded,
    starts: Sequence[float],
    vocabulary: Vocabulary,
    language: str | None,
) -> Iterator[Segment]:
    """Segments of one window, where Whisper's timestamps end them.

    Args:
        window: says where its times lie in the recording.
        decoded: what was said.
        starts: seconds in the window at which each text token begins and the last one ends.
        vocabulary: spells tokens.
        language: in which it is written.
    """
    position = 0
    for tokens, log_probabilities in _between_timestamps(decoded, vocabulary):
        words = []
        used = 0
        for text, ids in vocabulary.split_words(tokens, language):
            chances = log_probabilities[used : used + len(ids)]
            used += len(ids)
            start, end = starts[position], starts[position + len(ids)]
            position += len(ids)
            words.append(_word(window, text, start, end, chances))
        text = "".join(word.text for word in words).strip()
        if text:
            end = max(word.end for word in words)
            yield Segment(words[0].start, end, text, tuple(words), language=language)


def _word(
    window: Window, text: str, start: float, end: float, log_probabilities: Sequence[float]
) -> Word:
    begin = window.to_recording(start)
    begin, finish = window.crop_to_speech(begin, max(begin, window.to_recording(end)))
    probability = math.exp(sum(log_probabilities) / len(log_probabilities))
    return Word(text, begin, finish, min(1.0, probability))


def _between_timestamps(
    decoded: Decoded, vocabulary: Vocabulary
) -> Iterator[tuple[list[int], list[float]]]:
    """Runs of text tokens with their log-probabilities, as timestamps separate them."""
    tokens: list[int] = []
    chances: list[float] = []
    for token, chance in zip(decoded.tokens, decoded.log_probabilities, strict=False):
        if token < vocabulary.end:
            tokens.append(token)
            chances.append(chance)
        elif tokens:
            yield tokens, chances
            tokens, chances = [], []
    if tokens:
        yield tokens, chances
