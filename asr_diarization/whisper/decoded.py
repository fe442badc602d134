"""The tokens that were decoded for one row of a batch, and how repetition in them is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LOOP_PERIOD_TOKENS = 24
"""Longest phrase whose repetition counts as a loop."""
LOOP_REPEATS = 4
LOOP_MIN_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens of one row, with their log-probabilities."""

    tokens: tuple[int, ...]
    """Generated ids, timestamps included, without prefix and end."""
    log_probabilities: tuple[float, ...]
    """Of each token, under the timestamp rules; one more if the end was generated."""
    looped: bool = False
    """Whether decoding stopped because the tokens repeated themselves."""

    @property
    def mean_log_probability(self) -> float:
        """Over the tokens; 0.0 for none."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


def repeated_tail(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat the tokens before them; 0 if there is no loop.

    A loop is a phrase of up to 24 tokens, at least four times in a row, 24 tokens in all.
    """
    for period in range(1, LOOP_PERIOD_TOKENS + 1):
        needed = max(period * LOOP_REPEATS, LOOP_MIN_TOKENS)
        if len(tokens) < needed:
            continue
        same = 0
        while same < len(tokens) - period and tokens[-1 - same] == tokens[-1 - same - period]:
            same += 1
        if same + period >= needed:
            return same
    return 0
