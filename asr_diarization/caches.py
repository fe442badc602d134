"""What the decoder remembers of each window: the encoder's output, and its own tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MAX_DRAFT = 8
"""Most tokens guessed ahead; a cache has room for so many beyond its last position."""


class Cache:
    """What the decoder remembers of a batch: its own keys and values, and the encoder's.

    Attributes:
        own: (layers, rows, positions, 2 x width), keys then values; only positions before a row's
            own are meaningful, the rest is masked, so nothing needs to be cleared.
        keys: per layer (rows, heads, frames, head width), of the encoder's output.
        values: likewise.
        order: which window of the batch each row holds; rows are swapped as they finish.
    """

    def __init__(self, own: Tensor, keys: list[Tensor], values: list[Tensor]) -> None:
        self.own, self.keys, self.values = own, keys, values
        self.order = list(range(own.shape[1]))

    @property
    def rows(self) -> int:
        """How many windows it holds."""
        return len(self.order)

    @property
    def positions(self) -> int:
        """How many tokens fit in a row, guesses not counted."""
        return int(self.own.shape[2]) - MAX_DRAFT

    def swap_rows(self, a: int, b: int) -> None:
        """Exchange two rows. Of their own keys and values only row b's move, to row a."""
        if a == b:
            return
        self.own[:, a] = self.own[:, b]
        for tensor in (*self.keys, *self.values):
            kept = tensor[a].clone()
            tensor[a] = tensor[b]
            tensor[b] = kept
        self.order[a], self.order[b] = self.order[b], self.order[a]

    def select(self, windows: Sequence[int]) -> Cache:
        """A cache of these windows only, in this order, as new."""
        rows = torch.tensor([self.order.index(w) for w in windows], device=self.own.device)
        own = torch.zeros_like(self.own[:, : len(windows)])
        return Cache(own, [k[rows] for k in self.keys], [v[rows] for v in self.values])

    def look_at(self, window: int, first: int, last: int) -> Cache:
        """A cache for one token about some of the encoder's frames of one window."""
        row = self.order.index(window)
        own = torch.zeros_like(self.own[:, :1, : 1 + MAX_DRAFT])
        return Cache(
            own,
            [k[row : row + 1, :, first:last] for k in self.keys],
            [v[row : row + 1, :, first:last] for v in self.values],
        )
