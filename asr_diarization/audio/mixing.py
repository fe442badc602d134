"""Mixing: several channels -> one, of which no two cancel each other.

A cable with swapped wires inverts a channel, and some recorders invert one for a while only. So the
sign of each channel is chosen every 50 ms, from its correlation with the others half a second
around.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 800
"""Samples that get one sign: 50 ms at 16 kHz."""
NEIGHBOURS = 5
"""Frames before and after that count for a sign."""
OPPOSITE_CORRELATION = 0.5
"""A sign is known where the correlation with a channel before, of either sign, exceeds this."""


class Mixer:
    """The mean of all channels, block after block of one recording."""

    def __init__(self) -> None:
        self._signs: NDArray[np.float32] | None = None
        """Of the last frame, one per channel."""

    def mix(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples of shape (samples, channels) -> their signed mean, (samples, 1)."""
        count, channels = samples.shape
        if self._signs is None or len(self._signs) != channels:
            self._signs = np.ones(channels, dtype=np.float32)
        if channels == 1 or not count:
            return samples[:, :1]
        padded = np.pad(samples, ((0, -count % FRAME), (0, 0)))
        frames = padded.reshape(-1, FRAME, channels)
        signs = self._frame_signs(_correlations(frames))
        self._signs = signs[-1]
        mixed: NDArray[np.float32] = np.einsum("fsc,fc->fs", frames, signs / np.float32(channels))
        return mixed.reshape(-1, 1)[:count]

    def _frame_signs(self, correlations: NDArray[np.float32]) -> NDArray[np.float32]:
        """+1 or -1 for each frame and channel; the first channel keeps its own."""
        frames, channels, _ = correlations.shape
        assert self._signs is not None
        signs = np.ones((frames, channels), dtype=np.float32)
        for channel in range(1, channels):
            before = correlations[:, channel, :channel]
            nearest = np.abs(before).argmax(axis=1)
            strongest = before[np.arange(frames), nearest]
            relative = np.sign(strongest) * signs[np.arange(frames), nearest]
            is_known = np.abs(strongest) > OPPOSITE_CORRELATION
            signs[:, channel] = _fill(relative, is_known, self._signs[channel])
        return signs


def _correlations(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each pair of channels around each frame: (frames, channels, channels), 0 in silence."""
    products = np.einsum("fsc,fsd->fcd", frames, frames, optimize=True)
    sums = np.cumsum(np.pad(products, ((1, 0), (0, 0), (0, 0))), axis=0, dtype=np.float64)
    index = np.arange(len(frames))
    around = (
        sums[np.minimum(index + NEIGHBOURS + 1, len(frames))]
        - sums[np.maximum(index - NEIGHBOURS, 0)]
    )
    energy = np.einsum("fcc->fc", around).clip(min=0)
    scale = np.sqrt(energy[:, :, None] * energy[:, None, :])
    correlations: NDArray[np.float32] = np.where(
        scale > 1e-9, around / np.maximum(scale, 1e-9), 0
    ).astype(np.float32)
    return correlations


def _fill(
    values: NDArray[np.float32], is_known: NDArray[np.bool_], before: np.float32
) -> NDArray[np.float32]:
    """`values`, of which those not known are replaced by the nearest known one, or `before`."""
    known = np.flatnonzero(is_known)
    if not len(known):
        return np.full_like(values, before)
    index = np.arange(len(values))
    later = np.searchsorted(known, index).clip(max=len(known) - 1)
    earlier = (np.searchsorted(known, index, side="right") - 1).clip(min=0)
    is_later_nearer = np.abs(known[later] - index) < np.abs(index - known[earlier])
    filled: NDArray[np.float32] = values[np.where(is_later_nearer, known[later], known[earlier])]
    # Silence before the first known sign keeps the sign of the block before.
    filled[: known[0]] = np.where(index[: known[0]] < known[0] / 2, before, values[known[0]])
    return filled
