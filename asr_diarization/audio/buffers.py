"""Growing buffers for decoded samples: memory for what was decoded, none for gaps."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

_TENTHS = 10
"""Classes of loud samples per decade of amplitude: 2 dB each."""
_MAX_CLIPPED_SHARE = 1e-4
"""Up to this share of the samples, and one of them, may exceed full scale before all is scaled."""
_MAX_CREST = 4.0
"""A peak above this many times the level that so few samples exceed is damage, and is clipped."""


class WaveformBuffer:
    """Channels of one length, in pieces between gaps.

    Peak memory is 4 bytes per decoded sample and channel; where there are gaps, the longest piece
    counts twice.
    """

    def __init__(self, channels: int) -> None:
        self.samples = 0
        """Of each channel, gaps included."""
        self._channels = channels
        # realloc moves pages instead of copying them, so that growing never doubles the memory.
        self._pieces: list[tuple[int, list[bytearray]]] = []
        self._is_after_gap = True
        self._loud = np.zeros(0, dtype=np.int64)
        """How many samples are in each class above full scale."""
        self._decoded = 0
        self._peak = 1.0

    def append(self, chunk: NDArray[np.float32]) -> None:
        """Add samples of shape (samples, channels)."""
        if self._is_after_gap:
            self._pieces.append((self.samples, [bytearray() for _ in range(self._channels)]))
            self._is_after_gap = False
        rows = self._pieces[-1][1]
        for number, samples in enumerate(chunk.T):
            rows[number] += np.ascontiguousarray(samples).data.cast("B")
        self.samples += len(chunk)
        self._decoded += chunk.size
        if max(chunk.max(initial=0), -chunk.min(initial=0)) > 1:
            self._count_loud(np.abs(chunk))

    def append_gap(self, samples: int) -> None:
        """Add silence that takes no memory."""
        self.samples += samples
        self._is_after_gap = True

    def waveforms(self) -> tuple[NDArray[np.float32], ...]:
        """The channels, in [-1, 1]; the buffer is empty afterwards."""
        scale = self._scale()
        pieces, self._pieces = self._pieces, []
        if len(pieces) == 1 and len(pieces[0][1][0]) == 4 * self.samples:
            whole = tuple(np.frombuffer(row, np.float32) for row in pieces[0][1])
            for waveform in whole:
                self._limit(waveform, scale)
            return whole
        sparse = tuple(_zeros(self.samples) for _ in range(self._channels))
        while pieces:
            start, rows = pieces.pop()
            for waveform, row in zip(sparse, rows, strict=True):
                samples = np.frombuffer(row, np.float32)
                self._limit(samples, scale)
                waveform[start : start + len(samples)] = samples
        return sparse

    def _count_loud(self, magnitudes: NDArray[np.float32]) -> None:
        loud = magnitudes[magnitudes > 1]
        self._peak = max(self._peak, float(loud.max()))
        classes = np.bincount((_TENTHS * np.log10(loud.astype(np.float64))).astype(np.int64))
        size = max(len(classes), len(self._loud))
        self._loud = np.pad(self._loud, (0, size - len(self._loud)))
        self._loud[: len(classes)] += classes

    def _scale(self) -> float:
        """What all samples are multiplied by: less than 1 if more than a few are too loud."""
        allowed = max(1.0, _MAX_CLIPPED_SHARE * self._decoded)
        above = np.cumsum(self._loud[::-1])[::-1]
        levels = np.flatnonzero(above > allowed)
        if not len(levels):
            return 1.0
        level = 10 ** ((levels[-1] + 1) / _TENTHS)
        return float(1 / (self._peak if self._peak <= _MAX_CREST * level else level))

    def _limit(self, waveform: NDArray[np.float32], scale: float) -> None:
        if scale < 1:
            waveform *= np.float32(scale)
        if len(self._loud):
            np.clip(waveform, -1.0, 1.0, out=waveform)


def _zeros(samples: int) -> NDArray[np.float32]:
    """Zeros of which only those that are written take memory."""
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return np.zeros(samples, dtype=np.float32)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = mmap.mmap(-1, 4 * samples, flags=flags)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32)
