"""Peaks of a waveform, to draw it: the loudest sample in each of many short parts."""

from __future__ import annotations

import numpy as np

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

MAX_PEAKS = 4000
"""No screen has more columns."""


def peaks_of(waveform: Waveform) -> list[float]:
    """The largest absolute sample of each of at most `MAX_PEAKS` equal parts, three digits each.

    Nothing of the waveform is copied.
    """
    if not len(waveform):
        return []
    size = -(-len(waveform) // MAX_PEAKS)
    starts = np.arange(0, len(waveform), size)
    highest = np.maximum.reduceat(waveform, starts)
    lowest = np.minimum.reduceat(waveform, starts)
    # abs: silence has 0.0 and -0.0, and either may be the largest.
    return [round(abs(float(peak)), 3) for peak in np.maximum(highest, -lowest)]


def waveform_data(waveforms: tuple[Waveform, ...]) -> dict[str, object]:
    """Data of the event `waveform`: duration in seconds, and a list of peaks for each waveform."""
    return {
        "duration": round(len(waveforms[0]) / SAMPLE_RATE, 3),
        "peaks": [peaks_of(waveform) for waveform in waveforms],
    }
