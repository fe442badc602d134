"""Speech windows: the pieces of a recording that Whisper transcribes, cut in silence.

They are computed from speech probabilities alone. Whisper always computes 30 s, so windows are few
and about equally full. Long silence between two stretches is left out, except for a little, so that
the model notices the pause.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

STEP_SECONDS = 0.032
"""Distance of two speech probabilities."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """Thresholds for windows, chosen by measurement (docs/quality.md)."""

    onset: float = 0.5
    """Speech starts where its probability is at least this ..."""
    offset: float = 0.35
    """... and ends where it is less than this."""
    min_speech_seconds: float = 0.1
    """Shorter speech is taken for a click."""
    padding_seconds: float = 0.3
    """Kept before and after speech."""
    max_pause_seconds: float = 1.0
    """Of a longer pause in a window, this much is kept."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording with speech, in seconds."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """Stretches of one recording, joined: at most 30 s."""

    waveform: Waveform
    """The whole recording, not a copy."""
    stretches: tuple[Stretch, ...]
    speech: tuple[Stretch, ...] = ()
    """The speech in them, without padding and pauses."""
    language: str | None = None
    """The language spoken there, if it is known already."""

    @property
    def start(self) -> float:
        """Its start in the recording, in seconds."""
        return self.stretches[0].start

    @property
    def end(self) -> float:
        """Its end in the recording, in seconds."""
        return self.stretches[-1].end

    @property
    def duration(self) -> float:
        """Seconds of audio: less than `end - start` if pauses were left out."""
        return sum(stretch.duration for stretch in self.stretches)

    def samples(self) -> Waveform:
        """The audio, shape (duration x 16000,)."""
        pieces = [
            self.waveform[round(s.start * SAMPLE_RATE) : round(s.end * SAMPLE_RATE)]
            for s in self.stretches
        ]
        return np.concatenate(pieces)

    def rest(self, time: float) -> Window | None:
        """The part after `time`, of the recording; None if there is none."""
        return self.crop(time, self.end) if self.end > time else None

    def crop(self, start: float, end: float) -> Window:
        """The part between two times of the recording; some stretch must reach into it."""
        stretches = tuple(
            Stretch(max(s.start, start), min(s.end, end))
            for s in self.stretches
            if s.end > start and s.start < end
        )
        return replace(self, stretches=stretches)

    def to_window(self, time: float) -> float:
        """A time of the recording as a time in the window, in seconds of its audio."""
        return sum(min(s.end, time) - s.start for s in self.stretches if s.start < time)

    def to_recording(self, seconds: float) -> float:
        """A time in the window as a time of the recording; clipped to the window."""
        remaining = max(0.0, seconds)
        for stretch in self.stretches:
            if remaining <= stretch.duration:
                return stretch.start + remaining
            remaining -= stretch.duration
        return self.end


def find_speech(
    probabilities: NDArray[np.float32], duration: float, rules: WindowRules
) -> tuple[Stretch, ...]:
    """Stretches of speech, sorted and disjoint: hysteresis over probabilities, then padding.

    Stretches that touch or overlap after padding become one.
    """
    stretches: list[Stretch] = []
    for run in _runs(probabilities, rules):
        start = max(0.0, run.start - rules.padding_seconds)
        end = min(duration, run.end + rules.padding_seconds)
        if stretches and start <= stretches[-1].end:
            start = stretches.pop().start
        stretches.append(Stretch(start, end))
    return tuple(stretches)


def _runs(probabilities: NDArray[np.float32], rules: WindowRules) -> Iterator[Stretch]:
    """Runs of speech by hysteresis, without clicks."""
    start: int | None = None
    for step, probability in enumerate([*probabilities.tolist(), 0.0]):
        if start is None and probability >= rules.onset:
            start = step
        elif start is not None and probability < rules.offset:
            if (step - start) * STEP_SECONDS >= rules.min_speech_seconds:
                yield Stretch(start * STEP_SECONDS, step * STEP_SECONDS)
            start = None


def speech_windows(
    waveform: Waveform,
    probabilities: NDArray[np.float32],
    max_seconds: float,
    rules: WindowRules,
) -> tuple[Window, ...]:
    """The windows of a recording: `find_speech`, then `cut_windows`."""
    speech = find_speech(probabilities, len(waveform) / SAMPLE_RATE, rules)
    return cut_windows(waveform, speech, probabilities, max_seconds, rules)


def cut_windows(
    waveform: Waveform,
    speech: Sequence[Stretch],
    probabilities: NDArray[np.float32],
    max_seconds: float,
    rules: WindowRules,
) -> tuple[Window, ...]:
    """The fewest windows that hold all speech, about equally long, each at most `max_seconds`.

    Cuts are in the silence between two stretches. A stretch that is longer than a window is first
    cut where speech is least likely.
    """
    pieces = [
        piece for stretch in speech for piece in _split_long(stretch, probabilities, max_seconds)
    ]
    if not pieces:
        return ()
    groups = _group([p.duration for p in pieces], _kept_pauses(pieces, rules), max_seconds)
    runs = list(_runs(probabilities, rules))
    windows = []
    for first, last in groups:
        stretches = _merge(pieces[first:last], rules)
        speech_runs = _overlapping(runs, stretches[0].start, stretches[-1].end)
        windows.append(Window(waveform, stretches, speech_runs))
    return tuple(windows)


def _overlapping(runs: Sequence[Stretch], start: float, end: float) -> tuple[Stretch, ...]:
    """The sorted `runs` that overlap `start` to `end`; touching is not enough."""
    first = bisect_right(runs, start, key=lambda run: run.end)
    last = bisect_left(runs, end, key=lambda run: run.start)
    return tuple(runs[first:last])


def _split_long(
    stretch: Stretch, probabilities: NDArray[np.float32], max_seconds: float
) -> list[Stretch]:
    """`stretch` in pieces of at most `max_seconds`, cut where speech is least likely."""
    pieces = []
    start = stretch.start
    while stretch.end - start > max_seconds:
        parts = int(np.ceil((stretch.end - start) / max_seconds))
        length = (stretch.end - start) / parts  # equal parts, cut near their borders
        first = int((start + 0.5 * length) / STEP_SECONDS)
        last = int((start + min(max_seconds, 1.5 * length)) / STEP_SECONDS)
        candidates = probabilities[first:last]
        at = first + int(np.argmin(candidates)) if len(candidates) else last
        cut = min((at + 0.5) * STEP_SECONDS, start + max_seconds)
        pieces.append(Stretch(start, cut))
        start = cut
    return [*pieces, Stretch(start, stretch.end)]


def _kept_pauses(pieces: Sequence[Stretch], rules: WindowRules) -> list[float]:
    """Seconds of silence kept before each piece if it is not the first one of a window."""
    kept = [0.0]
    for before, after in pairwise(pieces):
        kept.append(min(after.start - before.end, rules.max_pause_seconds))
    return kept


def _group(
    durations: Sequence[float], pauses: Sequence[float], max_seconds: float
) -> list[tuple[int, int]]:
    """The pieces `[first, last)` of each window: fewest windows, then the most equal lengths.

    Dynamic programming over the last piece, with the sum of squared lengths as cost. The number of
    pieces in a window is bounded, so the time is linear in the recording.
    """
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]
    for last in range(1, len(durations) + 1):
        options = []
        length = 0.0
        for first in range(last - 1, -1, -1):
            length += durations[first] + (pauses[first + 1] if first + 1 < last else 0.0)
            if length > max_seconds + 1e-6 and first < last - 1:
                break
            count, squares, _ = best[first]
            options.append((count + 1, squares + length**2, first))
        best.append(min(options))
    groups = []
    last = len(durations)
    while last:
        first = best[last][2]
        groups.append((first, last))
        last = first
    return groups[::-1]


def _merge(pieces: Sequence[Stretch], rules: WindowRules) -> tuple[Stretch, ...]:
    """The stretches of one window: pieces with the kept pauses; short pauses are kept whole."""
    joined = [pieces[0]]
    for piece in pieces[1:]:
        pause = piece.start - joined[-1].end
        if pause <= rules.max_pause_seconds:
            joined[-1] = Stretch(joined[-1].start, piece.end)
        else:
            half = rules.max_pause_seconds / 2
            joined[-1] = Stretch(joined[-1].start, joined[-1].end + half)
            joined.append(Stretch(piece.start - half, piece.end))
    return tuple(joined)
