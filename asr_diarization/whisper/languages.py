"""The language of each window, when the request names none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter

from asr_diarization.audio.windows import Window

MIN_PART_SECONDS = 3.0
"""Shorter speech is too short to detect its language; changes are rarer than this."""
MIN_PAUSE_SECONDS = 0.3
"""A window is cut only in pauses of at least this length."""
MIN_WINDOW_PROBABILITY = 0.9
"""A window's language differs from its recording's only with at least this probability."""
MIN_PART_PROBABILITY = 0.7
"""Likewise for the parts of a window. A window is cut wrongly only if both its beginning and its
end are detected wrongly with this probability."""


def restrict(probabilities: Mapping[str, float], allowed: Collection[str]) -> dict[str, float]:
    """The probabilities of the languages in `allowed`, with sum 1; of all if `allowed` is empty."""
    kept = {code: p for code, p in probabilities.items() if not allowed or code in allowed}
    total = sum(kept.values())
    return {code: p / total if total else 1 / len(kept) for code, p in kept.items()}


class LanguageAgreement:
    """Languages of the recordings, from the probabilities of all their windows so far."""

    def __init__(self) -> None:
        self._totals: dict[int, Counter[str]] = {}

    def agree(
        self, windows: Sequence[Window], probabilities: Sequence[Mapping[str, float]]
    ) -> tuple[str, ...]:
        """A language for each window: its own if that is known or certain, else its recording's.

        A recording's language has the largest sum of probabilities. So one odd window does not
        change it, and a window that is clearly in another language keeps that language.
        """
        totals = [self._totals.setdefault(id(w.waveform), Counter()) for w in windows]
        for total, of_window in zip(totals, probabilities, strict=True):
            total.update(of_window)
        return tuple(
            window.language
            or _certain_language(of_window, MIN_WINDOW_PROBABILITY)
            or max(total, key=total.__getitem__)
            for window, total, of_window in zip(windows, totals, probabilities, strict=True)
        )


def split_by_language(
    window: Window, detect: Callable[[float, float], Mapping[str, float]]
) -> tuple[Window, ...]:
    """`window` cut where its language certainly changes, each part with its language; else itself.

    `detect` gives the probabilities of the languages between two times of the recording. It is
    called for the middle of the window only if beginning and end certainly differ.
    """
    parts = _parts(window)
    if window.language is not None or len(parts) < 2:
        return (window,)
    first, last = (
        _certain_language(detect(*part), MIN_PART_PROBABILITY) for part in (parts[0], parts[-1])
    )
    if first is None or last is None or first == last:
        return (window,)
    detected, language = [(first, parts[0])], first
    for part in parts[1:-1]:
        language = _certain_language(detect(*part), MIN_PART_PROBABILITY) or language
        detected.append((language, part))
    detected.append((last, parts[-1]))
    merged = []
    for language, run in groupby(detected, key=itemgetter(0)):
        times = [part for _, part in run]
        whole = window.crop(times[0][0], times[-1][1])
        merged.append(replace(whole, language=language))
    return tuple(merged)


def _parts(window: Window) -> list[tuple[float, float]]:
    """The window cut in its longest pauses, into parts long enough to detect their language."""
    pauses = [(after.start - before.end, before.end) for before, after in pairwise(window.speech)]
    cuts = [window.start, window.end]
    for length, start in sorted(pauses, reverse=True):
        middle = start + length / 2
        seconds = (abs(window.to_window(middle) - window.to_window(cut)) for cut in cuts)
        if length >= MIN_PAUSE_SECONDS and min(seconds) >= MIN_PART_SECONDS:
            cuts.append(middle)
    return list(pairwise(sorted(cuts)))


def _certain_language(probabilities: Mapping[str, float], minimum: float) -> str | None:
    """The most probable language; None if its probability is below `minimum`."""
    best = max(probabilities, key=probabilities.__getitem__)
    return best if probabilities[best] >= minimum else None
