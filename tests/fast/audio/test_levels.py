"""Gains for the speech detector: no level is too low, and silence stays silence."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.audio.levels import STEP_SAMPLES, audible, step_gains

RATE = 16000


def tone(seconds, peak):
    return (peak * np.sin(np.arange(round(seconds * RATE)) * 0.3)).astype(np.float32)


@pytest.mark.parametrize("decibels", [0, -20, -50, -70])
def test_the_peak_becomes_minus_3_dbfs_at_every_level(decibels):
    waveform = tone(3.0, 10 ** (decibels / 20))
    gains = step_gains(waveform)
    assert gains.shape == (2, -(-len(waveform) // STEP_SAMPLES))
    assert gains * np.abs(waveform).max() == pytest.approx(10 ** (-3 / 20), rel=0.01)


@pytest.mark.parametrize(("down", "raised"), [(20, 20), (40, 40), (60, 40)])
def test_a_quiet_part_is_raised_by_40_db_at_most(down, raised):
    waveform = np.concatenate([tone(5.0, 0.5), tone(5.0, 0.5 * 10 ** (-down / 20))])
    whole, local = step_gains(waveform)
    assert 20 * np.log10(local[-1] / whole[-1]) == pytest.approx(raised, abs=0.1)
    assert local[0] == pytest.approx(whole[0], rel=0.01)
    # Within a second of the loud part, its peak still counts.
    assert local[round(5.9 * RATE / STEP_SAMPLES)] == pytest.approx(whole[0], rel=0.01)


def test_silence_has_no_gain_and_no_samples_have_no_steps():
    assert not step_gains(np.zeros(RATE, np.float32)).any()
    assert step_gains(np.zeros(0, np.float32)).shape == (2, 0)


def test_the_peak_may_be_in_a_short_last_step():
    waveform = np.append(tone(1.024, 0.01), np.float32(-0.9))
    whole, _ = step_gains(waveform)
    assert whole == pytest.approx(10 ** (-3 / 20) / 0.9)


@pytest.mark.parametrize(("decibels", "becomes"), [(-70, -20), (-41, -20), (-39, -39), (-3, -3)])
def test_only_very_quiet_recordings_are_raised(decibels, becomes):
    raised = audible(tone(1.0, 10 ** (decibels / 20)))
    assert raised.dtype == np.float32
    assert 20 * np.log10(np.abs(raised).max()) == pytest.approx(becomes, abs=0.1)


def test_silence_is_not_raised():
    assert not audible(np.zeros(RATE, np.float32)).any()
    assert len(audible(np.zeros(0, np.float32))) == 0
