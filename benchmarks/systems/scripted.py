"""A drafter with a given acceptance: it knows the model's tokens and makes errors at random."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.rows import Rows

CONTEXT = 3
"""Number of last tokens that locate the position in the script when the model left it."""


class ScriptedDrafter:
    """Drafts each token correctly with a given probability, at no cost."""

    def __init__(
        self,
        scripts: Sequence[Sequence[int]],
        end: int,
        probability: float,
        policy: DraftPolicy,
        seed: int = 0,
    ) -> None:
        """Args: scripts: the tokens of each window; end: the token that follows."""
        self._scripts = [[*script, end] for script in scripts]
        self._end, self._probability, self._policy = end, probability, policy
        self._random = random.Random(seed)  # noqa: S311  no secret
        self._count, self._drafted_at = 0, 0.0

    def draft(self, rows: Rows) -> Tensor:
        """Drafts of each row's next tokens: (rows, k)."""
        count = self._count = self._policy.length()
        guesses = [self._guess(rows, row, count) for row in range(len(rows))] if count else []
        drafted = torch.tensor(guesses, dtype=torch.long).view(len(rows), count)
        self._drafted_at = time.perf_counter()
        return drafted.to(rows.tokens.device)

    def update(self, rows: Rows, accepted: Tensor, verified: Tensor) -> None:  # noqa: ARG002
        """Tell the policy; guesses have cost nothing."""
        seconds = time.perf_counter() - self._drafted_at
        self._policy.update(accepted.tolist(), verified.tolist(), self._count, 0.0, seconds)

    def remove(self, row: int) -> None:
        """It asks the cache which window a row is."""

    def _guess(self, rows: Rows, row: int, count: int) -> list[int]:
        script = self._scripts[rows.cache.order[row]]
        said = rows.tokens[row, int(rows.prefix_lengths[row]) : int(rows.lengths[row])].tolist()
        at = _place(script, said)
        right = (script[at : at + count] + [self._end] * count)[:count]
        return [t if self._random.random() < self._probability else _other(t) for t in right]


def _place(script: Sequence[int], said: Sequence[int]) -> int:
    """The position in `script` after the last tokens of `said`, nearest to the expected one."""
    expected = len(said)
    for size in range(min(CONTEXT, expected), 0, -1):
        last = list(said[-size:])
        if list(script[expected - size : expected]) == last:
            return expected
        places = [i for i in range(size, len(script) + 1) if list(script[i - size : i]) == last]
        if places:
            return min(places, key=lambda place: abs(place - expected))
    return expected


def _other(token: int) -> int:
    """A wrong token."""
    return token - 1 if token else 1
