"""Channels of a recording: microphones of one scene, or one speaker each, as in recorded calls.

In a call, each channel is for a while far louder than the other, measured above its own noise and
against its own loudness: lines differ in both. Where both sound, they say different things. A room
recorded in stereo, music, one signal at two levels and a channel without signal have no such
pattern: what sounds in both channels is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.coherence import is_unrelated
from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.audio.mixing import Mixer

Channels: TypeAlias = Sequence[Waveform]
"""All of one length. `mix` and `remove_crosstalk` change them in place: a copy of four hours takes
0.9 GB."""

FRAME = SAMPLE_RATE // 20
"""Samples of a frame: 50 ms, less than a syllable."""
SILENCE_DB = -80.0
"""A frame is silent unless it is above this level, without the noise of its line, ..."""
NOISE_DB = 6.0
"""... more than this above that noise, the 10th percentile of its channel, ..."""
DYNAMIC_RANGE_DB = 35.0
"""... and above the recording's 95th percentile minus this."""
DOMINANCE_DB = 12.0
"""A channel dominates a frame if it is more than this louder; crosstalk of headsets is quieter."""
MIN_DOMINATED_SHARE = 2 / 3
"""More than this share of the frames with sound must be dominated, or unrelated in both."""
MIN_OWN_SHARE, MIN_OWN_SECONDS = 0.03, 1.0
"""Each channel must dominate more than this share of the frames with sound, and more seconds."""
CROSSTALK_CORRELATION = 0.5
"""A quiet frame is crosstalk if it correlates more than this with the loud one."""
MAX_LAG = SAMPLE_RATE // 100
"""Samples by which crosstalk may be early or late."""
MIX_BLOCK = 32_768
"""Samples mixed at once."""
BLOCK_FRAMES = 500
"""Frames correlated at once, which limits the memory to some 30 MB."""


def speaker_of(channel: int) -> str:
    """The name of the speaker of a channel, counted from 0."""
    return f"CHANNEL_{channel:02d}"


def mix(channels: Channels) -> Waveform:
    """The mean of all channels, inverted ones turned round (`Mixer`).

    It takes the place of the first channel.
    """
    mixed, mixer = channels[0], Mixer()
    for start in range(0, len(mixed), MIX_BLOCK):
        block = np.stack([channel[start : start + MIX_BLOCK] for channel in channels], axis=1)
        if block.any():  # a gap is memory that nobody has touched
            mixed[start : start + MIX_BLOCK] = mixer.mix(block)[:, 0]
    return mixed


def is_call(channels: Channels) -> bool:
    """Whether each of two channels seems to hold one side of a conversation."""
    if len(channels) != 2:
        return False
    levels = _levels_above_noise(channels)
    if not levels.size:
        return False
    heard = [level[level > SILENCE_DB] for level in levels]
    if min(map(len, heard)) <= MIN_OWN_SECONDS * SAMPLE_RATE / FRAME:
        return False
    # One side may be far quieter than the other; but crosstalk alone is no side.
    loudness = np.array([[np.percentile(level, 95)] for level in heard])
    return any(
        _has_sides(channels, shifted) for shifted in (levels, levels - loudness + loudness.max())
    )


def _has_sides(channels: Channels, levels: NDArray[np.float32]) -> bool:
    """Whether each channel has frames of its own, and the others are unrelated."""
    loudest = levels.max(axis=0)
    sounding = loudest[loudest > SILENCE_DB]
    threshold = max(SILENCE_DB, float(np.percentile(sounding, 95)) - DYNAMIC_RANGE_DB)
    is_sounding = loudest > threshold
    difference = np.where(is_sounding, levels[0] - levels[1], 0)
    count = np.count_nonzero(is_sounding)
    own = np.array([(difference > DOMINANCE_DB).sum(), (difference < -DOMINANCE_DB).sum()])
    if own.min() <= max(MIN_OWN_SHARE * count, MIN_OWN_SECONDS * SAMPLE_RATE / FRAME):
        return False
    if own.sum() > MIN_DOMINATED_SHARE * count:
        return True
    shared = is_sounding & (np.abs(difference) <= DOMINANCE_DB)
    return is_unrelated([_framed(channel) for channel in channels], shared)


def _levels_above_noise(channels: Channels) -> NDArray[np.float32]:
    """Decibels of each frame without its channel's noise: (channels, frames)."""
    power = 10 ** (_levels(channels) / 10)
    if not power.size:
        return power.astype(np.float32)
    noise = np.percentile(power, 10, axis=1, keepdims=True)
    power = np.where(power > 10 ** (NOISE_DB / 10) * noise, power - noise, 0)
    levels: NDArray[np.float32] = (10 * np.log10(power + 1e-12)).astype(np.float32)
    return levels


def _levels(channels: Channels) -> NDArray[np.float32]:
    """Decibels relative to full scale: (channels, frames)."""
    framed = [_framed(channel) for channel in channels]
    power = np.stack([np.einsum("fs,fs->f", frames, frames) for frames in framed]) / FRAME
    levels: NDArray[np.float32] = 10 * np.log10(power + 1e-12)
    return levels


def remove_crosstalk(channels: Channels) -> tuple[Waveform, ...]:
    """The channels; of two, frames that only hold crosstalk of the other one become silent."""
    if len(channels) != 2:
        return tuple(channels)
    levels = _levels(channels)
    framed = [_framed(channel) for channel in channels]
    for quiet, loud in ((0, 1), (1, 0)):
        dominated = np.flatnonzero(levels[loud] - levels[quiet] > DOMINANCE_DB)
        for frames in _blocks(dominated):
            correlation = _max_correlation(framed[quiet][frames], framed[loud][frames])
            framed[quiet][frames[correlation > CROSSTALK_CORRELATION]] = 0
    return tuple(channels)


def _blocks(frames: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(frames), BLOCK_FRAMES):
        yield frames[first : first + BLOCK_FRAMES]


def _framed(waveform: Waveform) -> NDArray[np.float32]:
    """A view of the waveform's whole frames: (frames, samples)."""
    return waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)


def _max_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest absolute correlation of each pair of frames at lags up to `MAX_LAG`."""
    length = 2 * FRAME
    spectra = np.fft.rfft(a, length) * np.fft.rfft(b, length).conj()
    correlation = np.fft.irfft(spectra, length)
    near = np.concatenate((correlation[:, : MAX_LAG + 1], correlation[:, -MAX_LAG:]), axis=1)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    largest: NDArray[np.float32] = np.abs(near).max(axis=1) / np.maximum(norms, 1e-12)
    return largest
