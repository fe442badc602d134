"""A recording's channels: a mix of one scene, or one person each, as call recorders make them.

The signs of a call are in the levels alone: most of the time one channel is far louder than the
other, and each of them is the louder one for a while. A room recorded in stereo, music, one signal
at two levels and a channel without signal have no such pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

Channels: TypeAlias = Sequence[Waveform]
"""All of one length. `mix` and `without_leaks` write into them: four hours of a copy are 0.9 GB."""

FRAME = SAMPLE_RATE // 20
"""Samples of a frame: 50 ms, less than a syllable."""
FLOOR_DB = -60.0
"""Frames below this are silence, whatever the recording's level."""
RANGE_DB = 35.0
"""So are frames so far below the recording's loud ones."""
APART_DB = 12.0
"""A channel so much louder than the other has the frame to itself: leaks of headsets are below."""
APART_SHARE = 2 / 3
"""Of the frames with sound, so many must be one channel's alone: people do talk at once."""
OWN_SHARE, OWN_SECONDS = 0.03, 1.0
"""And each channel must have so many for itself."""
LEAK_CORRELATION = 0.5
"""A quiet frame that resembles the loud one on the other channel so much is its leak."""
LEAK_LAG = SAMPLE_RATE // 100
"""Samples by which a leak may come early or late."""
BLOCK_FRAMES = 500
"""Frames looked at together, which bounds the memory: to some 30 MB."""


def name(channel: int) -> str:
    """The speaker of a channel, counted from 0."""
    return f"CHANNEL_{channel:02d}"


def mix(channels: Channels) -> Waveform:
    """One waveform of all channels: their mean; two of opposite phase do not cancel out.

    It takes the place of the first channel.
    """
    mixed, *others = channels
    if len(others) == 1 and np.vdot(mixed, others[0]) < -0.5 * _power(channels):
        mixed -= others[0]
    else:
        for other in others:
            mixed += other
    mixed /= len(channels)
    return mixed


def _power(channels: Channels) -> float:
    return float(np.sqrt(np.prod([np.vdot(c, c) for c in channels])))


def is_call(channels: Channels) -> bool:
    """Whether each of two channels seems to hold one side of a conversation."""
    if len(channels) != 2:
        return False
    levels = _levels(channels)
    loudest = levels.max(axis=0)
    if not loudest.size:
        return False
    heard = loudest > max(FLOOR_DB, float(np.percentile(loudest, 95)) - RANGE_DB)
    difference = (levels[0] - levels[1])[heard]
    own = np.array([(difference > APART_DB).sum(), (difference < -APART_DB).sum()])
    needed = max(OWN_SHARE * len(difference), OWN_SECONDS * SAMPLE_RATE / FRAME)
    return bool(own.sum() > APART_SHARE * len(difference) and own.min() > needed)


def _levels(channels: Channels) -> NDArray[np.float32]:
    """Decibels of full scale: (channels, frames)."""
    framed = [_framed(channel) for channel in channels]
    power = np.stack([np.einsum("fs,fs->f", frames, frames) for frames in framed]) / FRAME
    levels: NDArray[np.float32] = 10 * np.log10(power + 1e-12)
    return levels


def without_leaks(channels: Channels) -> tuple[Waveform, ...]:
    """The channels, made silent where all one holds is the other one's leak (of two channels)."""
    if len(channels) != 2:
        return tuple(channels)
    levels = _levels(channels)
    framed = [_framed(channel) for channel in channels]
    for quiet, loud in ((0, 1), (1, 0)):
        below = np.flatnonzero(levels[loud] - levels[quiet] > APART_DB)
        for frames in _blocks(below):
            alike = _resemblance(framed[quiet][frames], framed[loud][frames])
            framed[quiet][frames[alike > LEAK_CORRELATION]] = 0
    return tuple(channels)


def _blocks(frames: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(frames), BLOCK_FRAMES):
        yield frames[first : first + BLOCK_FRAMES]


def _framed(waveform: Waveform) -> NDArray[np.float32]:
    """A view of the waveform's whole frames: (frames, samples)."""
    return waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)


def _resemblance(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest correlation of each pair of frames at small lags, whatever its sign."""
    length = 2 * FRAME
    spectra = np.fft.rfft(a, length) * np.fft.rfft(b, length).conj()
    lags = np.fft.irfft(spectra, length)
    near = np.concatenate((lags[:, : LEAK_LAG + 1], lags[:, -LEAK_LAG:]), axis=1)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    largest: NDArray[np.float32] = np.abs(near).max(axis=1) / np.maximum(norms, 1e-12)
    return largest
