"""Measurements of `benchmarks.speed`, and the word errors of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.recordings import Recording
from benchmarks.scores.counts import Ratio
from benchmarks.scores.normalizer import normalizer
from benchmarks.scores.scoring import word_errors


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: medians over the runs, sums over the recordings."""

    engine: str
    threads: int
    cpu: float
    wall: float
    ready: float
    ready_cpu: float
    megabytes: float
    spread: float
    """CPU seconds of the slowest run over those of the fastest."""
    answers: list[dict[str, Any]]
    """The answers of the last run, one for each recording."""


def word_rates(
    measured: Sequence[Measured], recordings: Sequence[Recording]
) -> dict[tuple[str, int], float | None]:
    """WER by engine and number of threads; None for engines that only diarize."""
    rates = {}
    for row in measured:
        total = Ratio()
        for recording, answer in zip(recordings, row.answers, strict=True):
            if "texts" in answer:
                total += text_errors(recording, answer["texts"])
        rates[row.engine, row.threads] = total.percent
    return rates


def text_errors(recording: Recording, texts: Iterable[str]) -> Ratio:
    """Word errors of texts in their order, each normalised by itself."""
    normalize = normalizer(recording.language)
    reference = [word for segment in recording.segments for word in normalize(segment.text)]
    hypothesis = [word for text in texts for word in normalize(text)]
    errors = word_errors(reference, hypothesis)
    return Ratio(errors.errors, errors.length)
