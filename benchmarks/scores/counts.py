"""Counts of a scored transcript, and the rates derived from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Ratio:
    """Number of errors and length of the reference; `+` pools."""

    errors: float = 0.0
    length: float = 0.0

    def __add__(self, other: Ratio) -> Ratio:
        return Ratio(self.errors + other.errors, self.length + other.length)

    @property
    def percent(self) -> float | None:
        """The error rate; None if the reference is empty."""
        return 100 * self.errors / self.length if self.length else None


@dataclass(frozen=True, slots=True)
class Score:
    """All counts of a transcript; `+` pools."""

    ratios: Mapping[str, Ratio] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    start_errors: tuple[float, ...] = ()
    end_errors: tuple[float, ...] = ()

    def __add__(self, other: Score) -> Score:
        names = dict.fromkeys((*self.ratios, *other.ratios))
        none = Ratio()
        return Score(
            {name: self.ratios.get(name, none) + other.ratios.get(name, none) for name in names},
            Counter({n: self.counts[n] + other.counts[n] for n in {*self.counts, *other.counts}}),
            self.start_errors + other.start_errors,
            self.end_errors + other.end_errors,
        )


def pool(scores: Sequence[Score]) -> Score:
    """The sum of all counts."""
    return sum(scores, Score())


def interval(scores: Sequence[Score], name: str, draws: int = 2000) -> tuple[float, float] | None:
    """The 95 % interval of the pooled rate, by bootstrap over the recordings with a fixed seed."""
    ratios = [score.ratios.get(name, Ratio()) for score in scores]
    errors = np.array([ratio.errors for ratio in ratios])
    lengths = np.array([ratio.length for ratio in ratios])
    if not lengths.sum() or len(ratios) == 1:
        return None
    drawn = np.random.default_rng(0).integers(len(ratios), size=(draws, len(ratios)))
    totals = lengths[drawn].sum(axis=1)
    rates = 100 * errors[drawn].sum(axis=1)[totals > 0] / totals[totals > 0]
    low, high = np.percentile(rates, [2.5, 97.5]).tolist()
    return low, high
