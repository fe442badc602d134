"""When not to believe a window (thresholds of Radford et al. 2022, section 4.5), and what then."""

from __future__ import annotations

import zlib
from dataclasses import replace

from asr_diarization.whisper.decoded import Decoded, repetition
from asr_diarization.whisper.vocabulary import Vocabulary

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Tried in turn on rows that failed; greedy decoding comes before them."""
MAX_COMPRESSION_RATIO = 2.4
"""Text that zlib makes smaller than this repeats itself."""
MIN_MEAN_LOG_PROBABILITY = -1.0
MAX_NO_SPEECH = 0.6


def compression_ratio(text: str) -> float:
    """Bytes of `text` over its bytes after zlib; 0.0 for no text."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def is_failed(decoded: Decoded, vocabulary: Vocabulary) -> bool:
    """Whether the text repeats itself or the model does not believe it."""
    return (
        decoded.looped
        or compression_ratio(vocabulary.text(decoded.tokens)) > MAX_COMPRESSION_RATIO
        or decoded.mean_log_probability < MIN_MEAN_LOG_PROBABILITY
    )


def is_silence(decoded: Decoded, no_speech: float) -> bool:
    """Whether the model heard no speech, and what it wrote does not convince either."""
    return no_speech > MAX_NO_SPEECH and decoded.mean_log_probability < MIN_MEAN_LOG_PROBABILITY


def better(a: Decoded, b: Decoded) -> Decoded:
    """Of two attempts the one that does not loop, else the more probable; `a` on a tie."""
    if a.looped != b.looped:
        return b if a.looped else a
    return b if b.mean_log_probability > a.mean_log_probability else a


def without_loop(decoded: Decoded) -> Decoded:
    """`decoded` with a repetition at its end said once."""
    extra = repetition(decoded.tokens)
    if not extra:
        return decoded
    kept = len(decoded.tokens) - extra
    return replace(
        decoded, tokens=decoded.tokens[:kept], log_probabilities=decoded.log_probabilities[:kept]
    )
