"""Channels that would cancel each other, in blocks of one recording."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.audio.channels import mix
from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.audio.mixing import FRAME, Mixer
from tests.fast.audio.test_decode import wav

RNG = np.random.default_rng(0)
SECONDS = 8
VOICE, OTHER = (
    (RNG.normal(0, 0.1, SECONDS * SAMPLE_RATE) * np.abs(np.sin(np.arange(SECONDS * SAMPLE_RATE)
     * rate))).astype(np.float32)
    for rate in (2e-4, 3e-4)
)  # fmt: skip


def flipped(waveform, *times):
    """Inverted from the first time to the second, from the third to the fourth ..."""
    changed = waveform.copy()
    for time in times:
        changed[round(time * SAMPLE_RATE) :] *= -1
    return changed


def both_ways(*channels):
    """Mixed while it is decoded, and afterwards."""
    yield decode_audio(wav(channels), max_seconds=20)
    yield mix([channel.copy() for channel in channels])


@pytest.mark.parametrize("times", [(0,), (3.6,), (0, 3.6), (1.1, 2.3, 5.0)])
def test_a_phase_that_flips_cancels_nothing(times):
    for mixed in both_ways(VOICE, flipped(VOICE, *times)):
        wrong = np.abs(mixed - VOICE) > 1e-4
        assert wrong.sum() <= 3 * len(times) * FRAME
        assert np.abs(mixed).sum() > 0.97 * np.abs(VOICE).sum()


def test_of_four_channels_no_two_inverted_ones_cancel():
    for mixed in both_ways(VOICE, -VOICE, OTHER, -OTHER):
        assert np.allclose(mixed, (VOICE + OTHER) / 2, atol=1e-4)


def test_signs_are_kept_in_silence():
    quiet = VOICE.copy()
    quiet[2 * SAMPLE_RATE : 6 * SAMPLE_RATE] = 0
    for mixed in both_ways(quiet, -quiet):
        assert np.allclose(mixed, quiet, atol=1e-4)


def test_unrelated_channels_become_their_mean():
    for mixed in both_ways(VOICE, OTHER):
        assert np.allclose(mixed, (VOICE + OTHER) / 2, atol=1e-6)


def test_microphones_a_metre_apart_become_their_mean():
    late = np.roll(VOICE, 47)
    for mixed in both_ways(VOICE, late):
        assert np.allclose(mixed, (VOICE + late) / 2, atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_blocks_of_any_size(size, channels):
    block = RNG.normal(0, 0.1, (size, channels)).astype(np.float32)
    mixed = Mixer().mix(block)
    assert mixed.shape == (size, 1)
    assert mixed.dtype == np.float32
