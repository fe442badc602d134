"""Coherence: whether two channels that sound at once hold the same sound.

Microphones in one room hear the same voices, so that the phase between their spectra stays the same
for a while. Two lines with two voices have no such phase.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 20
"""Frames (of 50 ms) whose coherence is measured together: short enough for one speaker."""
MIN_SHARED_FRAMES = 10
"""A block counts if at least so many of its frames sound in both channels."""
MAX_COHERENCE = 0.15
"""The median of two lines is 0.02 to 0.04, that of a room at least 0.3 (docs/quality.md)."""
SEGMENT = 1024
"""Samples of a spectrum, 64 ms; half of them overlap."""
BINS = slice(13, 224)
"""200 to 3500 Hz, what a telephone carries."""


def is_unrelated(framed: Sequence[NDArray[np.float32]], shared: NDArray[np.bool_]) -> bool:
    """Whether two channels hold different sounds where both sound.

    Args:
        framed: two channels, each (frames, samples).
        shared: the frames that sound in both, (frames,).
    """
    return median_coherence(framed, shared) < MAX_COHERENCE


def median_coherence(framed: Sequence[NDArray[np.float32]], shared: NDArray[np.bool_]) -> float:
    """Of the blocks in which both channels sound, in [0, 1]; 1.0 without any."""
    whole = len(shared) // BLOCK_FRAMES * BLOCK_FRAMES
    counts = shared[:whole].reshape(-1, BLOCK_FRAMES).sum(axis=1)
    found = []
    for block in np.flatnonzero(counts >= MIN_SHARED_FRAMES):
        frames = slice(block * BLOCK_FRAMES, (block + 1) * BLOCK_FRAMES)
        found.append(_coherence(framed[0][frames].ravel(), framed[1][frames].ravel()))
    return float(np.median(found)) if found else 1.0


def _coherence(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Magnitude-squared coherence of two blocks, weighted by the power of both."""
    spectra = [np.fft.rfft(_segments(block), axis=1)[:, BINS] for block in (a, b)]
    cross = np.abs((spectra[0] * spectra[1].conj()).sum(axis=0)) ** 2
    power = [(np.abs(spectrum) ** 2).sum(axis=0) for spectrum in spectra]
    both = power[0] * power[1]
    weights = np.sqrt(both)
    return float((weights * cross / np.maximum(both, 1e-30)).sum() / max(weights.sum(), 1e-30))


def _segments(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Windowed segments that overlap by half: (segments, samples)."""
    windows = np.lib.stride_tricks.sliding_window_view(block, SEGMENT)[:: SEGMENT // 2]
    segments: NDArray[np.float32] = windows * np.hanning(SEGMENT).astype(np.float32)
    return segments
