"""Word times: from where attention finds a word to where speech is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr_diarization.audio.windows import Stretch
from asr_diarization.transcript import Word
from asr_diarization.whisper.repetition import letters_and_digits

MIN_PAUSE_SECONDS = 0.1
"""Shorter silence is part of a word, such as before a plosive."""
MIN_WORD_SECONDS = 0.01
"""Half of the step in which attention is measured; shorter words take no time."""
BASE_SECONDS = 0.4
MAX_CHARACTER_SECONDS = 0.1
"""A word has at most this much speech for each character, and `BASE_SECONDS` ..."""
MAX_DIGIT_SECONDS = 1.0
"""... and a number this much for each digit ..."""
MAX_DICTATION_PAUSE_SECONDS = 1.5
"""... with pauses of at most this length."""
UNHEARD_SECONDS = 3.0
"""So much speech after the last word is more than a border that was not found."""


@dataclass(frozen=True, slots=True)
class WordLimits:
    """How long a word can be; the values are chosen by measurement (docs/quality.md)."""

    max_seconds: float
    """Of speech."""
    max_pause_seconds: float = 0.0
    """Of silence between two of its runs of speech."""
    min_seconds_after_pause: float = 0.04
    """A word that reaches less far into a run of speech is in the run before it."""


def limits_of(text: str, *, is_last: bool) -> WordLimits:
    """How long the word `text` can be; `is_last` if it ends a sentence or a segment."""
    after_pause = 0.2 if is_last else 0.04
    digits = sum(character.isdigit() for character in text)
    if digits > 1:
        seconds = BASE_SECONDS + digits * MAX_DIGIT_SECONDS
        return WordLimits(seconds, MAX_DICTATION_PAUSE_SECONDS, after_pause)
    seconds = BASE_SECONDS + len(text.strip()) * MAX_CHARACTER_SECONDS
    return WordLimits(seconds, min_seconds_after_pause=after_pause)


def crop_to_speech(
    speech: Sequence[Stretch], start: float, end: float, limits: WordLimits
) -> tuple[float, float]:
    """The times of a word that attention finds between `start` and `end`.

    Attention finds the end of a word better than its start: the first word after a pause seems to
    start where the word before the pause ends. So the word is in the last run of speech that it
    reaches, and in those before that one which it covers, as far as `limits` allow.

    Args:
        speech: runs of speech, sorted and disjoint. If none is between `start` and `end`, these
            are the answer.
        start: seconds, as everything here.
        end: not before `start`.
        limits: of this word.
    """
    runs = [run for run in _joined(speech) if run.end > start and run.start < end]
    if not runs:
        return start, end
    if len(runs) > 1 and end - runs[-1].start < limits.min_seconds_after_pause:
        runs.pop()
    last = runs.pop()
    cropped_end = min(end, last.end)
    first = max(start, last.start, cropped_end - limits.max_seconds)
    seconds = cropped_end - first
    while runs and runs[-1].start >= start and first - runs[-1].end <= limits.max_pause_seconds:
        seconds += runs[-1].duration
        if seconds > limits.max_seconds:
            break
        first = runs.pop().start
    return first, cropped_end


def end_of_last_word(
    speech: Sequence[Stretch], start: float, end: float, limits: WordLimits
) -> float:
    """Where the last word of a window ends at the latest.

    After it, attention has nothing to look at, so it may seem to last until the window ends. With
    `UNHEARD_SECONDS` more speech than it can have, it is at the beginning of that speech.
    """
    runs = [run for run in speech if run.end > start and run.start < end]
    seconds = sum(min(end, run.end) - max(start, run.start) for run in runs)
    if seconds < limits.max_seconds + UNHEARD_SECONDS:
        return end
    return max(start, runs[0].start) + limits.max_seconds


def _joined(speech: Sequence[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for run in speech:
        if joined and run.start - joined[-1].end < MIN_PAUSE_SECONDS:
            joined[-1] = Stretch(joined[-1].start, run.end)
        else:
            joined.append(run)
    return joined


def with_time(words: Sequence[Word]) -> list[Word]:
    """The words of a segment, each with time; none if no word takes any.

    Whisper writes words that take no time when it repeats itself: at the end of a segment those are
    left out that only say again what precedes. The borders of others were not found: they share
    the time of the word after them, at the end of the segment that of the word before.
    """
    timed: list[Word] = []
    waiting: list[Word] = []
    for word in words:
        if not _takes_time(word):
            waiting.append(word)
            continue
        timed += _share((*waiting, word), word.start, word.end)
        waiting = []
    if not waiting or not timed or _contains(_spelled(timed), _spelled(waiting)):
        return timed
    last = timed.pop()
    return [*timed, *_share((last, *waiting), last.start, last.end)]


def _share(words: Sequence[Word], start: float, end: float) -> list[Word]:
    """The words one after the other, equally long."""
    step = (end - start) / len(words)
    return [
        replace(word, start=start + i * step, end=end - (len(words) - 1 - i) * step)
        for i, word in enumerate(words)
    ]


def _spelled(words: Sequence[Word]) -> list[str]:
    return [letters_and_digits(word.text) for word in words]


def _contains(sequence: Sequence[str], part: Sequence[str]) -> bool:
    starts = range(len(sequence) - len(part) + 1)
    return any(sequence[at : at + len(part)] == part for at in starts)


def _takes_time(word: Word) -> bool:
    return word.end - word.start >= MIN_WORD_SECONDS
