"""Segments and words of a window, built from its tokens and their times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from asr_diarization.audio.windows import Window
from asr_diarization.merging import SENTENCE_ENDS
from asr_diarization.transcript import Segment, Word
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.vocabulary import Vocabulary
from asr_diarization.whisper.word_times import (
    crop_to_speech,
    end_of_last_word,
    limits_of,
    with_time,
)


def text_tokens(decoded: Decoded, vocabulary: Vocabulary) -> list[int]:
    """The text tokens; timestamps and other special tokens are left out."""
    return [token for token in decoded.tokens if token < vocabulary.end]


def build_segments(
    window: Window,
    decoded: Decoded,
    starts: Sequence[float],
    vocabulary: Vocabulary,
    language: str | None,
) -> Iterator[Segment]:
    """Segments of one window, in times of the recording; Whisper's timestamps separate them.

    Args:
        window: converts its times to those of the recording.
        decoded: the window's tokens.
        starts: seconds in the window at which each text token begins and the last one ends.
        vocabulary: converts tokens to text.
        language: of the text.
    """
    position = 0
    for tokens, log_probabilities in _between_timestamps(decoded, vocabulary):
        words = []
        used = 0
        split = vocabulary.split_words(tokens)
        for number, (text, ids) in enumerate(split):
            of_word = log_probabilities[used : used + len(ids)]
            used += len(ids)
            start, end = (window.to_recording(starts[at]) for at in (position, position + len(ids)))
            position += len(ids)
            is_last = number > 0 and (number + 1 == len(split) or text.endswith(SENTENCE_ENDS))
            limits = limits_of(text, is_last=is_last)
            if position + 1 == len(starts):
                end = end_of_last_word(window.speech, start, end, limits)
            start, end = crop_to_speech(window.speech, start, max(start, end), limits)
            words.append(Word(text, start, end, _mean_probability(of_word)))
        words = with_time(words)
        text = "".join(word.text for word in words).strip()
        if text:
            end = max(word.end for word in words)
            yield Segment(words[0].start, end, text, tuple(words), language=language)


def _mean_probability(log_probabilities: Sequence[float]) -> float:
    return min(1.0, math.exp(sum(log_probabilities) / len(log_probabilities)))


def _between_timestamps(
    decoded: Decoded, vocabulary: Vocabulary
) -> Iterator[tuple[list[int], list[float]]]:
    """Text tokens between two timestamps, with their log-probabilities."""
    tokens: list[int] = []
    log_probabilities: list[float] = []
    for token, log_probability in zip(decoded.tokens, decoded.log_probabilities, strict=False):
        if token < vocabulary.end:
            tokens.append(token)
            log_probabilities.append(log_probability)
        elif tokens:
            yield tokens, log_probabilities
            tokens, log_probabilities = [], []
    if tokens:
        yield tokens, log_probabilities
