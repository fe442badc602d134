"""What a waveform looks like, for pages that need not decode it themselves."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.server.peaks import MAX_PEAKS, peaks_of, waveform_data


@pytest.mark.parametrize("samples", [1, 2, 3999, 4000, 4001, 8000, 99_999])
def test_peaks_are_the_loudest_of_equal_parts(samples):
    waveform = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    peaks = peaks_of(waveform)
    size = -(-samples // MAX_PEAKS)
    parts = [waveform[start : start + size] for start in range(0, samples, size)]
    assert len(peaks) <= MAX_PEAKS
    assert peaks == [round(float(np.abs(part).max()), 3) for part in parts]


def test_silence_is_zero_and_nothing_is_nothing():
    assert json.dumps(peaks_of(np.zeros(5, np.float32))) == "[0.0, 0.0, 0.0, 0.0, 0.0]"
    assert peaks_of(np.zeros(0, np.float32)) == []


def test_each_waveform_has_a_list():
    left, right = (np.full(SAMPLE_RATE // 2, level, np.float32) for level in (0.25, -1.0))
    picture = waveform_data((left, right))
    assert picture["duration"] == 0.5
    assert [set(peaks) for peaks in picture["peaks"]] == [{0.25}, {1.0}]


def test_a_long_waveform_is_not_copied():
    waveform = np.ones(10_000_000, np.float32)
    tracemalloc.start()
    try:
        peaks_of(waveform)
        assert tracemalloc.get_traced_memory()[1] < waveform.nbytes / 20
    finally:
        tracemalloc.stop()
