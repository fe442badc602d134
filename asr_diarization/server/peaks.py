"""What a waveform looks like: its loudest sample in each of many short parts."""

from __future__ import annotations

import numpy as np

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform

MOST_PEAKS = 4000
"""More than any screen has columns."""


def peaks_of(waveform: Waveform) -> list[float]:
    """The largest absolute sample of each of at most `MOST_PEAKS` equal parts, three digits each.

    Nothing of the waveform is copied.
    """
    if not len(waveform):
        return []
    size = -(-len(waveform) // MOST_PEAKS)
    starts = np.arange(0, len(waveform), size)
    highest = np.maximum.reduceat(waveform, starts)
    lowest = np.minimum.reduceat(waveform, starts)
    # abs: of 0.0 and -0.0, which silence has both, the largest may be either.
    return [round(abs(float(peak)), 3) for peak in np.maximum(highest, -lowest)]


def picture_of(waveforms: tuple[Waveform, ...]) -> dict[str, object]:
    """`{"duration": seconds, "peaks": [one list for each waveform]}`."""
    return {
        "duration": round(len(waveforms[0]) / SAMPLE_RATE, 3),
        "peaks": [peaks_of(waveform) for waveform in waveforms],
    }
