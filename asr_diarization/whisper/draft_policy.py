"""The draft length: how many tokens an assistant should draft, by their cost and acceptance."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from asr_diarization.whisper.caches import MAX_DRAFT

FIRST_DRAFT = 3
"""Draft length before anything is measured."""
WARM_UP_STEPS = 4
"""Steps with and without a draft in turn, to measure the cost of both."""
PROBE_STEPS = 64
"""Steps after giving up until one draft tests whether drafting would pay now."""
PROBE_BACKOFF = 4
"""Each failed probe multiplies the distance to the next one: an assistant that has to encode a new
batch first is expensive to ask."""
PROBE_DRAFT = 2
DECAY = 0.9
"""Weight of the past at each step, in costs and in acceptance."""
MIN_SPREAD = 1e-3
"""Below this spread of draft lengths, the fitted line keeps its last slope."""


class DraftPolicy:
    """Draft length of the next step, from the acceptance and the costs of the steps so far.

    With acceptance a, a step that drafts k tokens appends (1 - a^(k+1)) / (1 - a) on average
    (Leviathan et al. 2023, equation 1). It costs k drafts and one verification of k + 1 positions,
    whose seconds are modelled as linear in k. The best k has the most tokens per second; it may be
    0.
    """

    def __init__(self) -> None:
        self.steps = self.row_steps = self.drafted = self.accepted = 0
        self._accepts, self._rejections = 0.0, 0.0
        self._draft_seconds = 0.0
        self._verification_sums: tuple[float, ...] = (0.0,) * 5
        """Weighted sums of 1, k, k^2, seconds, k x seconds."""
        self._slope = 0.0
        self._next_probe, self._probe_distance = PROBE_STEPS, PROBE_STEPS

    def stats(self) -> dict[str, object]:
        """What was drafted and accepted, JSON-ready."""
        row_steps = max(1, self.row_steps)
        return {
            "drafted": self.drafted,
            "accepted": self.accepted,
            "steps": self.steps,
            "draft_length": round(self.drafted / row_steps, 2),
        }

    def length(self) -> int:
        """How many tokens to draft now."""
        if self.steps < WARM_UP_STEPS:
            return 0 if self.steps % 2 else FIRST_DRAFT
        best = max(range(MAX_DRAFT + 1), key=self.tokens_per_second)
        if best or self.steps < self._next_probe:
            return best
        self._probe_distance *= PROBE_BACKOFF
        self._next_probe = self.steps + self._probe_distance
        return PROBE_DRAFT

    def tokens_per_second(self, length: int) -> float:
        """Expected tokens per second of one row with drafts of `length` tokens."""
        acceptance = min(0.999, (self._accepts + 0.5) / (self._accepts + self._rejections + 1.0))
        tokens = (1 - acceptance ** (length + 1)) / (1 - acceptance)
        return tokens / max(1e-9, length * self._draft_seconds + self._verify_seconds(length))

    def update(
        self,
        accepted: Sequence[int],
        verified: Sequence[int],
        drafted: int,
        draft_seconds: float,
        verify_seconds: float,
    ) -> None:
        """Count one step.

        Args:
            accepted: how many draft tokens each row accepted.
            verified: how many were compared: those before the row's end.
            drafted: draft tokens made for each row.
            draft_seconds: how long making them took.
            verify_seconds: how long scoring them took.
        """
        self.steps += 1
        self.row_steps += len(accepted)
        self.drafted += sum(verified)
        self.accepted += sum(accepted)
        if drafted:
            self._accepts = DECAY * self._accepts + sum(accepted) / len(accepted)
            rejections = sum(map(operator.lt, accepted, verified)) / len(accepted)
            self._rejections = DECAY * self._rejections + rejections
            per_token = draft_seconds / drafted
            known = self._draft_seconds or per_token
            self._draft_seconds = DECAY * known + (1 - DECAY) * per_token
        new = (1.0, drafted, drafted**2, verify_seconds, drafted * verify_seconds)
        sums = zip(self._verification_sums, new, strict=True)
        self._verification_sums = tuple(DECAY * a + b for a, b in sums)
        n, k, kk, s, ks = self._verification_sums
        if (spread := n * kk - k * k) > MIN_SPREAD:
            self._slope = max(0.0, (n * ks - k * s) / spread)

    def _verify_seconds(self, length: int) -> float:
        """Least-squares line through past verifications; flat until two lengths are measured."""
        n, k, _, s, _ = self._verification_sums
        return max(1e-9, (s - self._slope * k) / max(n, 1e-9) + self._slope * length)
