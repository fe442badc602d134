"""Which language is spoken where, when nobody says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from operator import itemgetter

from asr_diarization.audio.windows import Window

MIN_PART_SECONDS = 3.0
"""A language cannot be told from less, and nobody changes it more often."""
MIN_PAUSE_SECONDS = 0.3
"""A language changes in a pause of at least so much."""
MIN_SHARE_OF_OWN = 0.9
"""A window keeps a language of its own only when it is this sure of it."""
MIN_SHARE_OF_PART = 0.7
"""Likewise a part of it; wrong only if the window's beginning and end are both surely heard as
something they are not."""


class LanguageAgreement:
    """What each recording is mostly spoken in, by its windows heard so far."""

    def __init__(self) -> None:
        self._totals: dict[int, Counter[str]] = {}

    def agree(
        self, windows: Sequence[Window], probabilities: Sequence[Mapping[str, float]]
    ) -> tuple[str, ...]:
        """A language for each window: its recording's, unless it is known or sure of another.

        A recording's language has the largest sum of probabilities; so one odd window does not
        flip it, and a stretch that is clearly in another language keeps that.
        """
        totals = [self._totals.setdefault(id(w.waveform), Counter()) for w in windows]
        for total, heard in zip(totals, probabilities, strict=True):
            total.update(heard)
        return tuple(
            window.language
            or _sure_language(heard, MIN_SHARE_OF_OWN)
            or max(total, key=total.__getitem__)
            for window, total, heard in zip(windows, totals, probabilities, strict=True)
        )


def split_by_language(
    window: Window, listen: Callable[[float, float], Mapping[str, float]]
) -> tuple[Window, ...]:
    """`window` cut where its language surely changes, into parts that know theirs; else itself.

    `listen` gives the probabilities of the languages between two times of the recording. Only when
    the beginning and the end surely differ is the rest listened to.
    """
    parts = _parts(window)
    if window.language is not None or len(parts) < 2:
        return (window,)
    first, last = (
        _sure_language(listen(*part), MIN_SHARE_OF_PART) for part in (parts[0], parts[-1])
    )
    if first is None or last is None or first == last:
        return (window,)
    spoken, language = [(first, parts[0])], first
    for part in parts[1:-1]:
        language = _sure_language(listen(*part), MIN_SHARE_OF_PART) or language
        spoken.append((language, part))
    spoken.append((last, parts[-1]))
    parts_in_one = []
    for language, run in groupby(spoken, key=itemgetter(0)):
        times = [part for _, part in run]
        whole = window.crop(times[0][0], times[-1][1])
        parts_in_one.append(replace(whole, language=language))
    return tuple(parts_in_one)


def _parts(window: Window) -> list[tuple[float, float]]:
    """The window cut in its pauses, longest first, each part long enough to tell a language by."""
    pauses = [(after.start - before.end, before.end) for before, after in pairwise(window.speech)]
    cuts = [window.start, window.end]
    for length, start in sorted(pauses, reverse=True):
        middle = start + length / 2
        seconds = (abs(window.to_window(middle) - window.to_window(cut)) for cut in cuts)
        if length >= MIN_PAUSE_SECONDS and min(seconds) >= MIN_PART_SECONDS:
            cuts.append(middle)
    return list(pairwise(sorted(cuts)))


def _sure_language(probabilities: Mapping[str, float], share: float) -> str | None:
    best = max(probabilities, key=probabilities.__getitem__)
    return best if probabilities[best] >= share else None
