"""The fallback of Whisper: windows that fail a check are decoded again at higher temperatures.

Thresholds and temperatures are those of Radford et al. 2022, section 4.5.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from asr_diarization.whisper.decoded import Decoded, repeated_tail
from asr_diarization.whisper.vocabulary import Vocabulary

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried in turn on rows that failed; greedy decoding comes before them."""
MAX_COMPRESSION_RATIO = 2.4
"""Text with a higher ratio repeats itself."""
MIN_MEAN_LOG_PROBABILITY = -1.0
"""Tokens with a lower mean are not believed."""
REPEATED_LOG_PROBABILITY = -2.0
"""Repetitions are probable for the model, but no better than such tokens."""
MAX_NO_SPEECH_PROBABILITY = 0.6
"""Windows with a higher probability may be silence."""

DecodeAgain = Callable[[Sequence[int], float], Sequence[Decoded]]
"""Decodes some rows, by their numbers, at a temperature."""


def with_fallback(
    decoded: Sequence[Decoded],
    is_silent: Sequence[bool],
    vocabulary: Vocabulary,
    decode_again: DecodeAgain,
) -> list[Decoded]:
    """`decoded`, with better attempts for the rows that need one.

    A row is decoded again until an attempt passes the checks. If none does, the best attempt is
    taken. Silent rows are not decoded again.
    """
    best = list(decoded)
    for temperature in TEMPERATURES:
        failed = [
            row
            for row, attempt in enumerate(best)
            if not is_silent[row] and needs_fallback(attempt, vocabulary)
        ]
        if not failed:
            break
        for row, attempt in zip(failed, decode_again(failed, temperature), strict=True):
            passes = not needs_fallback(attempt, vocabulary)
            best[row] = attempt if passes else better(best[row], attempt)
    return best


def compression_ratio(text: str) -> float:
    """Bytes of `text` over its bytes after zlib; 0.0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def needs_fallback(decoded: Decoded, vocabulary: Vocabulary) -> bool:
    """Whether the text repeats itself, or its tokens are improbable."""
    return (
        _repeats_itself(decoded, vocabulary)
        or decoded.mean_log_probability < MIN_MEAN_LOG_PROBABILITY
    )


def log_probability(decoded: Decoded, vocabulary: Vocabulary) -> float:
    """The mean of its tokens; `REPEATED_LOG_PROBABILITY` at most for text that repeats itself."""
    mean = decoded.mean_log_probability
    return min(mean, REPEATED_LOG_PROBABILITY) if _repeats_itself(decoded, vocabulary) else mean


def _repeats_itself(decoded: Decoded, vocabulary: Vocabulary) -> bool:
    ratio = compression_ratio(vocabulary.text(decoded.tokens))
    return decoded.looped or ratio > MAX_COMPRESSION_RATIO


def is_silence(decoded: Decoded, no_speech_probability: float) -> bool:
    """Whether speech is improbable in a window, and its tokens are improbable, too."""
    return (
        no_speech_probability > MAX_NO_SPEECH_PROBABILITY
        and decoded.mean_log_probability < MIN_MEAN_LOG_PROBABILITY
    )


def better(a: Decoded, b: Decoded) -> Decoded:
    """The attempt that does not loop, else the more probable one; `a` on a tie."""
    if a.looped != b.looped:
        return b if a.looped else a
    return b if b.mean_log_probability > a.mean_log_probability else a


def without_loop(decoded: Decoded) -> Decoded:
    """`decoded` with a phrase that is repeated at its end kept once."""
    extra = repeated_tail(decoded.tokens)
    if not extra:
        return decoded
    kept = len(decoded.tokens) - extra
    return replace(
        decoded, tokens=decoded.tokens[:kept], log_probabilities=decoded.log_probabilities[:kept]
    )
