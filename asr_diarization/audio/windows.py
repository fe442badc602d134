"""Speech windows: the pieces of a recording that Whisper gets to hear, cut in silence.

Pure arithmetic on speech probabilities and seconds. Whisper always pays for 30 s, so windows are
few and about equally full; long silence between two stretches is left out, a little of it stays so
that the model hears the pause.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

STEP_SECONDS = 0.032
"""Distance of two speech probabilities."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How speech becomes windows; chosen by measurement (docs/quality.md)."""

    onset: float = 0.5
    """Speech begins where its probability reaches this ..."""
    offset: float = 0.35
    """... and ends where it falls below this."""
    min_speech_seconds: float = 0.1
    """Shorter speech is a click."""
    padding_seconds: float = 0.3
    """Kept on both sides of speech."""
    max_pause_seconds: float = 1.0
    """Of a longer pause inside a window, only this much is kept."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a recording that holds speech, in seconds."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Window:
    """Stretches of one recording, played one after the other: at most 30 s."""

    waveform: Waveform
    """The whole recording, not a copy."""
    stretches: tuple[Stretch, ...]
    speech: tuple[Stretch, ...] = ()
    """Where in them somebody speaks: without padding and pauses."""
    language: str | None = None
    """What is spoken there, if that is known already."""

    @property
    def start(self) -> float:
        """Where it begins in the recording, in seconds."""
        return self.stretches[0].start

    @property
    def end(self) -> float:
        """Where it ends in the recording, in seconds."""
        return self.stretches[-1].end

    @property
    def duration(self) -> float:
        """What is heard, in seconds; less than `end - start` when pauses were left out."""
        return sum(stretch.duration for stretch in self.stretches)

    def samples(self) -> Waveform:
        """What is heard, shape (duration x 16000,)."""
        pieces = [
            self.waveform[round(s.start * SAMPLE_RATE) : round(s.end * SAMPLE_RATE)]
            for s in self.stretches
        ]
        return np.concatenate(pieces)

    def rest(self, time: float) -> Window | None:
        """What of it lies behind `time` (of the recording); None if nothing does."""
        return self.part(time, self.end) if self.end > time else None

    def part(self, start: float, end: float) -> Window:
        """What of it lies between two times of the recording, which must be something."""
        stretches = tuple(
            Stretch(max(s.start, start), min(s.end, end))
            for s in self.stretches
            if s.end > start and s.start < end
        )
        return replace(self, stretches=stretches)

    def to_speech(self, start: float, end: float) -> tuple[float, float]:
        """`start` to `end` (of the recording) without the silence around what was said there.

        When it covers several runs of speech, the one it shares most with; unchanged without any.
        """
        shared = [(min(end, run.end) - max(start, run.start), run) for run in self.speech]
        seconds, run = max(shared, key=itemgetter(0), default=(0.0, None))
        if run is None or seconds <= 0:
            return start, end
        return max(start, run.start), min(end, run.end)

    def to_window(self, time: float) -> float:
        """How much of the window is heard before a time of the recording, in seconds."""
        return sum(min(s.end, time) - s.start for s in self.stretches if s.start < time)

    def to_recording(self, seconds: float) -> float:
        """The time in the recording of a time in the window; clipped to the window."""
        left = max(0.0, seconds)
        for stretch in self.stretches:
            if left <= stretch.duration:
                return stretch.start + left
            left -= stretch.duration
        return self.end


def find_speech(
    probabilities: NDArray[np.float32], duration: float, rules: WindowRules
) -> tuple[Stretch, ...]:
    """Where somebody speaks, sorted and apart: hysteresis over probabilities, then padding."""
    stretches: list[Stretch] = []
    for run in _runs(probabilities, rules):
        begin = max(0.0, run.start - rules.padding_seconds)
        end = min(duration, run.end + rules.padding_seconds)
        if stretches and begin <= stretches[-1].end:
            begin = stretches.pop().start
        stretches.append(Stretch(begin, end))
    return tuple(stretches)


def _runs(probabilities: NDArray[np.float32], rules: WindowRules) -> Iterator[Stretch]:
    """Runs of speech by hysteresis, clicks left out."""
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
    """The windows of a recording, from its speech probabilities: `find_speech`, `cut_windows`."""
    speech = find_speech(probabilities, len(waveform) / SAMPLE_RATE, rules)
    return cut_windows(waveform, speech, probabilities, max_seconds, rules)


def cut_windows(
    waveform: Waveform,
    speech: Sequence[Stretch],
    probabilities: NDArray[np.float32],
    max_seconds: float,
    rules: WindowRules,
) -> tuple[Window, ...]:
    """As few windows as hold all speech, about equally long, each at most `max_seconds`.

    Cuts lie in the silence between two stretches; a stretch that is longer than a window by itself
    is first cut where speech is least likely.
    """
    pieces = [
        piece for stretch in speech for piece in _split_long(stretch, probabilities, max_seconds)
    ]
    if not pieces:
        return ()
    groups = _pack([p.duration for p in pieces], _pauses(pieces, rules), max_seconds)
    runs = list(_runs(probabilities, rules))
    windows = []
    for first, last in groups:
        stretches = _join(pieces[first:last], rules)
        spoken = _between(runs, stretches[0].start, stretches[-1].end)
        windows.append(Window(waveform, stretches, spoken))
    return tuple(windows)


def _between(runs: Sequence[Stretch], start: float, end: float) -> tuple[Stretch, ...]:
    """The sorted `runs` that reach into `start` to `end`."""
    first = bisect_right(runs, start, key=lambda run: run.end)
    last = bisect_left(runs, end, key=lambda run: run.start)
    return tuple(runs[first:last])


def _split_long(
    stretch: Stretch, probabilities: NDArray[np.float32], max_seconds: float
) -> list[Stretch]:
    """`stretch` cut at its least likely speech until no piece exceeds `max_seconds`."""
    pieces = []
    start = stretch.start
    while stretch.end - start > max_seconds:
        parts = int(np.ceil((stretch.end - start) / max_seconds))
        middle = (stretch.end - start) / parts  # equal parts, cut near their borders
        first = int((start + 0.5 * middle) / STEP_SECONDS)
        last = int((start + min(max_seconds, 1.5 * middle)) / STEP_SECONDS)
        candidates = probabilities[first:last]
        at = first + int(np.argmin(candidates)) if len(candidates) else last
        cut = min((at + 0.5) * STEP_SECONDS, start + max_seconds)
        pieces.append(Stretch(start, cut))
        start = cut
    return [*pieces, Stretch(start, stretch.end)]


def _pauses(pieces: Sequence[Stretch], rules: WindowRules) -> list[float]:
    """How much of the silence before each piece is kept when it does not begin a window."""
    kept = [0.0]
    for before, after in pairwise(pieces):
        kept.append(min(after.start - before.end, rules.max_pause_seconds))
    return kept


def _pack(
    durations: Sequence[float], pauses: Sequence[float], max_seconds: float
) -> list[tuple[int, int]]:
    """Runs `[first, last)` of pieces: fewest first, then least uneven (sum of squared lengths).

    Dynamic programming over the end of each run; a run holds a bounded number of pieces, so the
    time is linear in the recording.
    """
    best: list[tuple[int, float, int]] = [(0, 0.0, 0)]
    for last in range(1, len(durations) + 1):
        options = []
        length = 0.0
        for first in range(last - 1, -1, -1):
            length += durations[first] + (pauses[first + 1] if first + 1 < last else 0.0)
            if length > max_seconds + 1e-6 and first < last - 1:
                break
            runs, squares, _ = best[first]
            options.append((runs + 1, squares + length**2, first))
        best.append(min(options))
    groups = []
    last = len(durations)
    while last:
        first = best[last][2]
        groups.append((first, last))
        last = first
    return groups[::-1]


def _join(pieces: Sequence[Stretch], rules: WindowRules) -> tuple[Stretch, ...]:
    """Pieces of one window with what is kept of the pauses; short pauses make them one."""
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
