"""How many tokens an assistant should guess, decided by what guesses cost and bring."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from asr_diarization.whisper.caches import MAX_DRAFT

FIRST_DRAFT = 3
"""Tokens guessed while nothing is known yet."""
WARM_UP_STEPS = 4
"""Steps that guess and do not guess in turn, to learn what both cost."""
PROBE_STEPS = 64
"""So many steps after giving up, one guess finds out whether it would pay now."""
PROBE_BACKOFF = 4
"""Each time it did not, the next one is so many times as far away: an assistant that has to hear a
new batch first is no cheap thing to ask."""
PROBE_DRAFT = 2
FORGETTING = 0.9
"""Weight of the past at each step, in costs and in acceptance."""
MIN_SPREAD = 1e-3
"""After one length for long, the others are forgotten; the line then keeps its last slope."""


class DraftPolicy:
    """How many tokens to guess, by what guesses have been worth and have cost so far.

    With acceptance a, a step that guesses k tokens says (1 - a^(k+1)) / (1 - a) on average
    (Leviathan et al. 2023, equation 1) and takes k drafts and one look at k + 1 positions, whose
    seconds are taken to grow linearly in k. The best k is the one with most tokens per second, 0
    included.
    """

    def __init__(self) -> None:
        self.steps = self.row_steps = self.drafted = self.accepted = 0
        self._right, self._wrong = 0.0, 0.0
        self._draft_seconds = 0.0
        self._looks: tuple[float, ...] = (0.0,) * 5
        """Weighted sums of 1, k, k^2, seconds, k x seconds."""
        self._slope = 0.0
        self._next_probe, self._probe_distance = PROBE_STEPS, PROBE_STEPS

    def stats(self) -> dict[str, object]:
        """What was done, JSON-ready."""
        row_steps = max(1, self.row_steps)
        return {
            "drafted": self.drafted,
            "accepted": self.accepted,
            "steps": self.steps,
            "draft_length": round(self.drafted / row_steps, 2),
        }

    def length(self) -> int:
        """How many tokens to guess now."""
        if self.steps < WARM_UP_STEPS:
            return 0 if self.steps % 2 else FIRST_DRAFT
        best = max(range(MAX_DRAFT + 1), key=self.tokens_per_second)
        if best or self.steps < self._next_probe:
            return best
        self._probe_distance *= PROBE_BACKOFF
        self._next_probe = self.steps + self._probe_distance
        return PROBE_DRAFT

    def tokens_per_second(self, length: int) -> float:
        """What a row is expected to gain when `length` tokens are guessed."""
        acceptance = min(0.999, (self._right + 0.5) / (self._right + self._wrong + 1.0))
        tokens = (1 - acceptance ** (length + 1)) / (1 - acceptance)
        return tokens / max(1e-9, length * self._draft_seconds + self._look_seconds(length))

    def learn(
        self,
        accepted: Sequence[int],
        judged: Sequence[int],
        drafted: int,
        draft_seconds: float,
        look_seconds: float,
    ) -> None:
        """What one step has shown.

        Args:
            accepted: how many of each row's guesses were right.
            judged: of how many, those before the row's end.
            drafted: how many were made for each row.
            draft_seconds: what making them took.
            look_seconds: what looking at them took.
        """
        self.steps += 1
        self.row_steps += len(accepted)
        self.drafted += sum(judged)
        self.accepted += sum(accepted)
        if drafted:
            self._right = FORGETTING * self._right + sum(accepted) / len(accepted)
            wrong = sum(map(operator.lt, accepted, judged)) / len(accepted)
            self._wrong = FORGETTING * self._wrong + wrong
            each = draft_seconds / drafted
            known = self._draft_seconds or each
            self._draft_seconds = FORGETTING * known + (1 - FORGETTING) * each
        new = (1.0, drafted, drafted**2, look_seconds, drafted * look_seconds)
        self._looks = tuple(FORGETTING * a + b for a, b in zip(self._looks, new, strict=True))
        n, k, kk, s, ks = self._looks
        if (spread := n * kk - k * k) > MIN_SPREAD:
            self._slope = max(0.0, (n * ks - k * s) / spread)

    def _look_seconds(self, length: int) -> float:
        """Least-squares line through what looks have taken; flat until two lengths are known."""
        n, k, _, s, _ = self._looks
        return max(1e-9, (s - self._slope * k) / max(n, 1e-9) + self._slope * length)
