"""What the decoder remembers of each window: the encoder's output, and its own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_DRAFT = 8
"""Most tokens guessed ahead; a cache has room for so many beyond its last position."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What one layer sees of the encoder's output."""

    keys: Tensor
    """(rows, heads, frames, head width)."""
    values: Tensor
    """Likewise."""
    behind: Tensor | None
    """(rows, 1, 1, frames), minus infinity behind a row's last frame; None if all are full."""


class Cache:
    """What the decoder remembers of a batch: its own keys and values, and the encoder's.

    Attributes:
        own: (layers, rows, positions, 2 x width), keys then values; only positions before a row's
            own are meaningful, the rest is masked, so nothing needs to be cleared.
        order: which window of the batch each row holds; rows are swapped as they finish.
    """

    def __init__(
        self, own: Tensor, keys: list[Tensor], values: list[Tensor], behind: Tensor | None
    ) -> None:
        """`keys` and `values` have a tensor for each layer; see `Sound`."""
        self.own, self._keys, self._values, self._behind = own, keys, values, behind
        self.order = list(range(own.shape[1]))

    @property
    def rows(self) -> int:
        """How many windows it holds."""
        return len(self.order)

    @property
    def positions(self) -> int:
        """How many tokens fit in a row, guesses not counted."""
        return int(self.own.shape[2]) - MAX_DRAFT

    def sound(self, layer: int, rows: int) -> Sound:
        """What a layer sees of the first rows' windows."""
        behind = None if self._behind is None else self._behind[:rows]
        return Sound(self._keys[layer][:rows], self._values[layer][:rows], behind)

    def swap_rows(self, a: int, b: int) -> None:
        """Exchange two rows. Of their own keys and values only row b's move, to row a."""
        if a == b:
            return
        self.own[:, a] = self.own[:, b]
        masks = () if self._behind is None else (self._behind,)
        for tensor in (*self._keys, *self._values, *masks):
            kept = tensor[a].clone()
            tensor[a] = tensor[b]
            tensor[b] = kept
        self.order[a], self.order[b] = self.order[b], self.order[a]

    def select(self, windows: Sequence[int]) -> Cache:
        """A cache of these windows only, in this order, as new."""
        rows = torch.tensor([self.order.index(w) for w in windows], device=self.own.device)
        return Cache(
            torch.zeros_like(self.own[:, : len(windows)]),
            [k[rows] for k in self._keys],
            [v[rows] for v in self._values],
            None if self._behind is None else self._behind[rows],
        )

    def look_at(self, window: int, first: int, last: int) -> Cache:
        """A cache for one token about some of the encoder's frames of one window."""
        row = self.order.index(window)
        return Cache(
            torch.zeros_like(self.own[:, :1, : 1 + MAX_DRAFT]),
            [k[row : row + 1, :, first:last] for k in self._keys],
            [v[row : row + 1, :, first:last] for v in self._values],
            None,
        )
