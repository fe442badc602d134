"""A drafter whose guesses are right as often as it is told; it knows what the model will say."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.rows import Rows

CONTEXT = 3
"""So many last tokens find the place in the script again when the model has left it."""


class ScriptedDrafter:
    """Guesses each token right with a given probability, for nothing."""

    def __init__(
        self,
        scripts: Sequence[Sequence[int]],
        end: int,
        probability: float,
        policy: DraftPolicy,
        seed: int = 0,
    ) -> None:
        """Args: scripts: what each window will say; end: the token that follows."""
        self._scripts = [[*script, end] for script in scripts]
        self._end, self._probability, self._policy = end, probability, policy
        self._random = random.Random(seed)  # noqa: S311  no secret
        self._count, self._drafted_at = 0, 0.0

    def draft(self, rows: Rows) -> Tensor:
        """Guesses at each row's next tokens: (rows, k)."""
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
    """Where in `script` the token after `said` stands, nearest to where it should."""
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
