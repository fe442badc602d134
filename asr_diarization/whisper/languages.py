"""The language of each window, when the request names none."""

from __future__ import annotations

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


MIN_RECORDING_PROBABILITY = 0.7
"""Below it, a recording's language is chosen by the text that is decoded in the likely ones:"""
MIN_CANDIDATE_PROBABILITY = 0.15
"""those that have at least this probability in it."""


def restrict(probabilities: Mapping[str, float], allowed: Collection[str]) -> dict[str, float]:
    """The probabilities of the languages in `allowed`, with sum 1; of all if `allowed` is empty."""
    kept = {code: p for code, p in probabilities.items() if not allowed or code in allowed}
    total = sum(kept.values())
    return {code: p / total if total else 1 / len(kept) for code, p in kept.items()}


class LanguageAgreement:
    """Languages of the recordings, from the probabilities of all their windows so far."""

    def __init__(self) -> None:
        self._totals: dict[int, dict[str, float]] = {}
        self._settled: dict[int, str] = {}

    def agree(
        self, windows: Sequence[Window], probabilities: Sequence[Mapping[str, float]]
    ) -> tuple[str, ...]:
        """A language for each window: its own if that is known or certain, else its recording's.

        A recording's language has the largest sum of probabilities, each weighted by the seconds of
        speech of its window. So one odd window does not change it, a short one hardly counts, and a
        window that is clearly in another language keeps that language.
        """
        self._add(windows, probabilities)
        return tuple(
            window.language
            or _certain_language(of_window, MIN_WINDOW_PROBABILITY)
            or self._likely(window)[0]
            for window, of_window in zip(windows, probabilities, strict=True)
        )

    def _add(self, windows: Sequence[Window], probabilities: Sequence[Mapping[str, float]]) -> None:
        for window, of_window in zip(windows, probabilities, strict=True):
            total = self._totals.setdefault(id(window.waveform), {})
            seconds = sum(run.duration for run in window.speech) or window.duration
            for name, value in of_window.items():
                total[name] = total.get(name, 0.0) + seconds * value

    def _likely(self, window: Window) -> list[str]:
        """The likely languages of the window's recording, the most probable one first."""
        total = self._totals[id(window.waveform)]
        whole = sum(total.values())
        ranked = sorted(total, key=total.__getitem__, reverse=True)
        is_settled = self._settled.get(id(window.waveform)) == ranked[0]
        if is_settled or total[ranked[0]] >= MIN_RECORDING_PROBABILITY * whole:
            return ranked[:1]
        minimum = MIN_CANDIDATE_PROBABILITY * whole
        return [ranked[0], *(name for name in ranked[1:] if total[name] >= minimum)]

    def settle(
        self,
        windows: Sequence[Window],
        languages: Sequence[str],
        score: Callable[[Sequence[str]], Sequence[float]],
    ) -> tuple[str, ...]:
        """`languages`, as `agree` gave them; those of unsure recordings are chosen by their text.

        For each of these recordings, the likely language with the largest sum of scores is taken.
        It holds until the windows after it make another one more probable.

        Args:
            windows: of a batch.
            languages: of each window.
            score: how probable each window's text is when decoded in the language given for it. It
                is called once for each likely language, and not at all if all recordings are sure.
        """
        likely = {id(window.waveform): self._likely(window) for window in windows}
        unsure = {key: names for key, names in likely.items() if len(names) > 1}
        keys = [
            id(window.waveform) if language == likely[id(window.waveform)][0] else 0
            for window, language in zip(windows, languages, strict=True)
        ]
        scores = {key: dict.fromkeys(names, 0.0) for key, names in unsure.items()}
        for rank in range(max(map(len, unsure.values()), default=0)):
            ranked = {key: names[rank] for key, names in unsure.items() if rank < len(names)}
            tried = [ranked.get(key, name) for key, name in zip(keys, languages, strict=True)]
            for key, name, value in zip(keys, tried, score(tried), strict=True):
                if key in ranked:
                    scores[key][name] += value
        best = {key: max(names, key=scores[key].__getitem__) for key, names in unsure.items()}
        for key, name in best.items():
            self._totals[key] = {name: sum(self._totals[key].values())}
        self._settled.update(best)
        return tuple(best.get(key, name) for key, name in zip(keys, languages, strict=True))


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
