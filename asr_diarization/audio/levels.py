"""Levels at which a recording is heard: gains that make quiet voices audible to the models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

STEP_SAMPLES = 512
"""Samples with the same gain: 32 ms at 16 kHz, one step of the speech detector."""
TARGET_PEAK = 10 ** (-3 / 20)
"""Peak of the scaled sound: -3 dBFS."""
REACH_STEPS = SAMPLE_RATE // STEP_SAMPLES
"""The level of a step is the peak within a second before and after it."""
MAX_LOCAL_GAIN = 10 ** (40 / 20)
"""Beyond the gain of the whole recording; a voice may be 40 dB below its loudest sound."""
MIN_PEAK = 10 ** (-40 / 20)
"""A recording with a lower peak is too quiet for Whisper, whose features end at -100 dB ..."""
RAISED_PEAK = 10 ** (-20 / 20)
"""... and is raised to this peak."""


def audible(waveform: Waveform) -> Waveform:
    """The waveform, raised to a peak of -20 dBFS if its peak is below -40 dBFS; never silence."""
    peak = max(waveform.max(initial=0.0), -waveform.min(initial=0.0))
    return waveform * np.float32(RAISED_PEAK / peak) if 0 < peak < MIN_PEAK else waveform


def step_gains(waveform: Waveform) -> NDArray[np.float32]:
    """Two gains for each step of 32 ms, shape (2, ceil(samples / 512)); 0 for digital silence.

    The first one is the same for all steps: it scales the peak of the recording to -3 dBFS. The
    second one does so for the peak around each step, and exceeds the first by 40 dB at most.
    """
    peaks = _step_peaks(waveform)
    if not peaks.any():
        return np.zeros((2, len(peaks)), dtype=np.float32)
    whole = TARGET_PEAK / peaks.max()
    padded = np.pad(peaks, REACH_STEPS)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH_STEPS + 1).max(axis=1)
    quietest = peaks.max() / MAX_LOCAL_GAIN
    local = TARGET_PEAK / np.maximum(around, quietest)
    return np.stack([np.full_like(local, whole), local]).astype(np.float32)


def _step_peaks(waveform: Waveform) -> NDArray[np.float32]:
    """The largest magnitude in each step; the last step may be shorter."""
    whole = len(waveform) // STEP_SAMPLES * STEP_SAMPLES
    steps = waveform[:whole].reshape(-1, STEP_SAMPLES)
    peaks = np.maximum(steps.max(axis=1), -steps.min(axis=1))
    rest = waveform[whole:]
    return np.append(peaks, np.abs(rest).max()) if len(rest) else peaks
