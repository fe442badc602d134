"""The decoder's cache: keys and values of self-attention and of cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_DRAFT = 8
"""Most tokens drafted in one step; a cache has room for this many beyond its last position."""


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """Cross-attention keys and values of one layer."""

    keys: Tensor
    """(rows, heads, frames, head width)."""
    values: Tensor
    """Likewise."""
    padding_mask: Tensor | None
    """(rows, 1, 1, frames), minus infinity at padding; None if no row is padded."""


class Cache:
    """Keys and values of a batch of windows.

    Attributes:
        self_attention: (layers, rows, positions, 2 x width), keys then values. Positions from a
            row's next one onwards are masked, so nothing needs to be cleared.
        order: which window of the batch each row holds; rows are swapped as they finish.
    """

    def __init__(
        self,
        self_attention: Tensor,
        keys: list[Tensor],
        values: list[Tensor],
        padding_mask: Tensor | None,
    ) -> None:
        """`keys` and `values` have a tensor for each layer; see `CrossAttention`."""
        self.self_attention = self_attention
        self._keys, self._values, self._padding_mask = keys, values, padding_mask
        self.order = list(range(self_attention.shape[1]))

    @property
    def rows(self) -> int:
        """How many windows it holds."""
        return len(self.order)

    @property
    def positions(self) -> int:
        """How many tokens fit in a row, drafted ones not counted."""
        return int(self.self_attention.shape[2]) - MAX_DRAFT

    def cross_attention(self, layer: int, rows: int) -> CrossAttention:
        """Keys and values of one layer for the first rows."""
        mask = None if self._padding_mask is None else self._padding_mask[:rows]
        return CrossAttention(self._keys[layer][:rows], self._values[layer][:rows], mask)

    def swap_rows(self, a: int, b: int) -> None:
        """Exchange two rows. Of self-attention, row b is copied to row a and row a is lost."""
        if a == b:
            return
        self.self_attention[:, a] = self.self_attention[:, b]
        masks = () if self._padding_mask is None else (self._padding_mask,)
        for tensor in (*self._keys, *self._values, *masks):
            kept = tensor[a].clone()
            tensor[a] = tensor[b]
            tensor[b] = kept
        self.order[a], self.order[b] = self.order[b], self.order[a]

    def select(self, windows: Sequence[int]) -> Cache:
        """A new cache of these windows, in this order; its self-attention is empty."""
        device = self.self_attention.device
        rows = torch.tensor([self.order.index(w) for w in windows], device=device)
        return Cache(
            torch.zeros_like(self.self_attention[:, : len(windows)]),
            [k[rows] for k in self._keys],
            [v[rows] for v in self._values],
            None if self._padding_mask is None else self._padding_mask[rows],
        )

    def select_frames(self, window: int, first: int, last: int) -> Cache:
        """A new cache of some frames of one window, with room for one token."""
        row = self.order.index(window)
        return Cache(
            torch.zeros_like(self.self_attention[:, :1, : 1 + MAX_DRAFT]),
            [k[row : row + 1, :, first:last] for k in self._keys],
            [v[row : row + 1, :, first:last] for v in self._values],
            None,
        )
