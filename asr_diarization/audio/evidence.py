"""Evidence of speech: where the speech detector hears it, and where the diarization has a turn.

Each misses speech that the other one finds: the detector over and after music, the diarization
short answers. So what either of them hears is transcribed. Words that only one of them heard are
kept if Whisper is sure of them: coughs and music seldom deceive all three.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.windows import (
    STEP_SECONDS,
    Stretch,
    Window,
    WindowRules,
    find_speech,
    speech_windows,
)
from asr_diarization.transcript import Segment, Span, Turn

MIN_TURN_SECONDS = 0.3
"""A shorter part of a turn outside of detected speech is its inexact border."""
MIN_SHARE = 0.5
"""A segment was heard if at least this share of it lies in speech."""
MIN_DISPUTED_PROBABILITY = 0.45
"""Of the words of a segment that one heard and the other did not; a geometric mean."""
MIN_PROBABILITY = 0.25
"""Likewise of a segment that the detector heard, when nothing is diarized."""
MIN_AGREED_PROBABILITY = 0.1
"""Likewise of a segment that both heard."""
MAX_EQUAL_SEGMENTS = 3
"""More segments in a row with the same text are a loop, unless both heard speech there."""
MIN_SECONDS = 0.02
"""A segment without length is looked for in this much around it."""


def missed_turns(
    probabilities: NDArray[np.float32], turns: Iterable[Turn], rules: WindowRules
) -> tuple[Stretch, ...]:
    """The parts of turns outside of detected speech and its padding, sorted and disjoint."""
    duration = len(probabilities) * STEP_SECONDS
    speech = find_speech(probabilities, duration, rules)
    missed = []
    for start, end in _union(turns):
        reached = start
        first = bisect_right(speech, start, key=lambda stretch: stretch.end)
        last = bisect_left(speech, end, key=lambda stretch: stretch.start)
        for stretch in speech[first:last]:
            missed.append((reached, stretch.start))
            reached = stretch.end
        missed.append((reached, min(end, duration)))
    return tuple(Stretch(a, b) for a, b in missed if b - a >= MIN_TURN_SECONDS)


def add_turns(
    probabilities: NDArray[np.float32], turns: Iterable[Turn], rules: WindowRules
) -> NDArray[np.float32]:
    """`probabilities`, raised to `rules.onset` in `missed_turns`."""
    return _raised(probabilities, missed_turns(probabilities, turns, rules), rules)


def missed_windows(
    waveform: Waveform,
    probabilities: NDArray[np.float32],
    turns: Iterable[Turn],
    max_seconds: float,
    rules: WindowRules,
) -> tuple[Window, ...]:
    """Windows of `missed_turns` alone, without padding: what is around them is heard already."""
    silence = np.zeros_like(probabilities)
    missed = _raised(silence, missed_turns(probabilities, turns, rules), rules)
    return speech_windows(waveform, missed, max_seconds, replace(rules, padding_seconds=0.0))


def _raised(
    probabilities: NDArray[np.float32], stretches: Iterable[Stretch], rules: WindowRules
) -> NDArray[np.float32]:
    raised = probabilities.copy()
    for stretch in stretches:
        steps = slice(int(stretch.start / STEP_SECONDS), math.ceil(stretch.end / STEP_SECONDS))
        raised[steps] = np.maximum(raised[steps], rules.onset)
    return raised


def believed(
    segments: Iterable[Segment], speech: Sequence[Span], turns: Sequence[Turn] | None
) -> tuple[Segment, ...]:
    """The segments that are believed to be speech.

    Args:
        segments: without words, or without probabilities, they are kept.
        speech: what the detector heard.
        turns: of the diarization; None if nothing was diarized.
    """
    minimum = MIN_PROBABILITY if turns is None else MIN_DISPUTED_PROBABILITY
    heard = (_union(speech), _union(turns or ()))
    kept: list[Segment] = []
    for _, run in groupby(segments, key=lambda segment: segment.text):
        equal = list(run)
        for segment in equal:
            is_agreed = all(_share(segment, spans) >= MIN_SHARE for spans in heard)
            is_loop = len(equal) > MAX_EQUAL_SEGMENTS and not is_agreed
            if not is_loop and segment.word_probability >= (
                MIN_AGREED_PROBABILITY if is_agreed else minimum
            ):
                kept.append(segment)
    return tuple(kept)


def _union(spans: Iterable[Span]) -> list[tuple[float, float]]:
    """The same time as sorted and disjoint pairs of start and end."""
    united: list[tuple[float, float]] = []
    for start, end in sorted((span.start, span.end) for span in spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def _share(segment: Segment, spans: Sequence[tuple[float, float]]) -> float:
    """The share of a segment that the sorted, disjoint `spans` cover."""
    margin = max(0.0, MIN_SECONDS - (segment.end - segment.start)) / 2
    start, end = segment.start - margin, segment.end + margin
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, end, key=lambda span: span[0])
    return sum(min(end, b) - max(start, a) for a, b in spans[first:last]) / (end - start)
