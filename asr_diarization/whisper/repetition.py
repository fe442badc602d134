"""Repetition: text that was written twice and said once.

The text alone does not tell: people repeat themselves. So one copy must also be squeezed into less
time than it takes to say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from asr_diarization.transcript import Segment

MIN_LETTER_SECONDS = 0.04
"""Nobody says a letter in less time: 25 a second ..."""
MIN_DIGIT_SECONDS = 0.12
"""... nor a digit."""
MIN_LIKENESS = 0.75
"""Texts that are less alike are different."""


def letters_and_digits(text: str) -> str:
    """`text` in lower case, without punctuation and spaces."""
    return "".join(character for character in text.casefold() if character.isalnum())


def without_repetition(segments: Sequence[Segment]) -> list[Segment]:
    """Of equal neighbours, those are left out that take no time, as long as one is left."""
    kept: list[Segment] = []
    for segment in segments:
        text = letters_and_digits(segment.text)
        if kept and text and letters_and_digits(kept[-1].text) == text:
            if _is_squeezed(text, segment.end - segment.start):
                continue
            if _is_squeezed(text, kept[-1].end - kept[-1].start):
                kept.pop()
        kept.append(segment)
    return kept


def join_heard_again(written: Sequence[Segment], heard: Sequence[Segment]) -> tuple[Segment, ...]:
    """`written`, and what was `heard` in a second attempt after it.

    If that is what was written last, and squeezed there, the last word ends where it ends, and
    nothing is written twice.
    """
    text = letters_and_digits("".join(segment.text for segment in heard))
    if not written or not text:
        return (*written, *heard)
    squeezed_start, tail = _tail(written[-1], len(text))
    seconds = written[-1].end - squeezed_start
    if not _is_like(tail, text) or not _is_squeezed(tail, seconds):
        return (*written, *heard)
    end = max(segment.end for segment in heard)
    last = written[-1]
    words = (*last.words[:-1], *(replace(word, end=end) for word in last.words[-1:]))
    return (*written[:-1], replace(last, end=end, words=words))


def _tail(segment: Segment, length: int) -> tuple[float, str]:
    """The last `length` characters of a segment, and when the word begins in which they start."""
    start, tail = segment.end, ""
    for word in reversed(segment.words):
        if len(tail) >= length:
            break
        start, tail = word.start, letters_and_digits(word.text) + tail
    return start, tail[-length:]


def _is_like(text: str, other: str) -> bool:
    return SequenceMatcher(None, text, other, autojunk=False).ratio() >= MIN_LIKENESS


def _is_squeezed(text: str, seconds: float) -> bool:
    """Whether `text` cannot be said in so many seconds."""
    digits = sum(character.isdigit() for character in text)
    return seconds < digits * MIN_DIGIT_SECONDS + (len(text) - digits) * MIN_LETTER_SECONDS
