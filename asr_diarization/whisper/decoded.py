"""What one row of a batch has said, and whether it repeats itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LOOP_PERIOD_TOKENS = 24
"""Longest phrase whose repetition counts as a loop."""
LOOP_REPEATS = 4
LOOP_MIN_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one row said."""

    tokens: tuple[int, ...]
    """Generated ids, timestamps included, without prefix and end."""
    log_probabilities: tuple[float, ...]
    """Of each token, under the rules."""
    looped: bool = False
    """Stopped because it repeated itself."""

    @property
    def mean_log_probability(self) -> float:
        """Over the tokens; 0.0 for none."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


def repetition(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat what stands before them; 0 when it is no loop.

    A loop is a phrase of up to 24 tokens said at least four times in a row, 24 tokens in all.
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
