"""Two channels: a call, or one scene; made of bursts of noise, as speech is in its levels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from asr_diarization.audio.channels import (
    FRAME,
    MAX_LAG,
    _levels,
    is_call,
    mix,
    remove_crosstalk,
)
from asr_diarization.audio.decode import SAMPLE_RATE

RNG = np.random.default_rng(0)
SECONDS = 30


def talk(turns):
    """Somebody who talks in those seconds, with pauses between syllables."""
    waveform = np.zeros(SECONDS * SAMPLE_RATE, dtype=np.float32)
    for start, end in turns:
        burst = RNG.normal(0, 0.1, (end - start) * SAMPLE_RATE)
        burst *= np.sin(np.arange(len(burst)) * np.pi / (0.2 * SAMPLE_RATE)) ** 2
        waveform[start * SAMPLE_RATE : end * SAMPLE_RATE] = burst
    return waveform


A, B = talk([(0, 5), (9, 14), (20, 26)]), talk([(5, 9), (13, 20), (27, 30)])
HISS = RNG.normal(0, 1e-3, (2, len(A))).astype(np.float32)
ROOM = A + B


def leaking(decibels, delay=0):
    share = 10 ** (-decibels / 20)
    return A + share * np.roll(B, delay), B + share * np.roll(A, delay)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (A, B, True),
        (*leaking(25), True),
        (*leaking(15, delay=60), True),
        (*leaking(6), False),
        (ROOM, ROOM, False),
        (ROOM, 0.1 * ROOM, False),
        (ROOM, -ROOM, False),
        (ROOM, np.roll(ROOM, 200), False),
        (ROOM, 0 * ROOM, False),
        (0 * ROOM, 0 * ROOM, False),
        (A, 0 * B, False),
    ],
    ids=["clean", "leak", "late leak", "strong leak", "same", "levels", "phase", "delay", "one",
         "silence", "one talks"],
)  # fmt: skip
@pytest.mark.parametrize("hiss", [0, 1])
def test_a_call_is_told_by_its_levels(left, right, expected, hiss):
    assert is_call(np.stack((left, right)) + hiss * HISS) == expected


@pytest.mark.parametrize("shape", [(1, 16000), (3, 16000), (2, 0), (2, FRAME - 1)])
def test_anything_else_is_none(shape):
    assert not is_call(np.ones(shape, dtype=np.float32))


@pytest.mark.parametrize("quieter_db", [0, 20, 35, 45])
@pytest.mark.parametrize("left_is_quiet", [True, False])
def test_one_side_of_a_call_may_be_far_quieter(quieter_db, left_is_quiet):
    gain = 10 ** (-quieter_db / 20)
    sides = (gain * A, B) if left_is_quiet else (A, gain * B)
    assert is_call(np.stack(sides) + 0.01 * HISS)


@pytest.mark.parametrize("noise_db", [-60, -45, -35])
def test_the_noise_of_a_line_belongs_to_nobody(noise_db):
    # Speech is at -24 dB; noise at different levels, and steady hum.
    noise = 10 ** (noise_db / 20) * RNG.normal(0, 1, (2, len(A)))
    hum = 10 ** (noise_db / 20) * np.sin(2 * np.pi * 50 * np.arange(len(A)) / SAMPLE_RATE)
    assert is_call(np.stack((A, 0.5 * B)) + noise)
    assert is_call(np.stack((A + hum, B + noise[1])))
    assert not is_call(np.stack((ROOM, 0.5 * ROOM)) + noise)
    assert not is_call(np.stack((ROOM, noise[1])))


TOGETHER = talk([(0, 14), (18, 24)]), talk([(2, 22), (25, 30)])
"""Two people who mostly talk at once."""


def test_people_who_talk_at_once_on_two_lines_are_a_call():
    assert is_call(np.stack(TOGETHER) + HISS)


def test_people_who_talk_at_once_in_a_room_are_not():
    left, right = TOGETHER
    for share in (1.0, 0.5):
        for delay in (0, 60, 150):
            heard = (
                left + share * np.roll(right, delay),
                right + share * np.roll(left, delay),
            )
            assert not is_call(np.stack(heard) + HISS)


def test_leaks_are_silenced_and_voices_kept():
    left, right = remove_crosstalk(np.stack(leaking(15, delay=60)))
    alone = slice(21 * SAMPLE_RATE, 25 * SAMPLE_RATE)  # A talks, B does not
    assert np.abs(right[alone]).sum() < 0.15 * 10 ** (-15 / 20) * np.abs(A[alone]).sum()
    both = slice(13 * SAMPLE_RATE, 14 * SAMPLE_RATE)
    for kept, said in ((left, A), (right, B)):
        loud = np.abs(said) > 0.05
        assert (kept[loud] != 0).mean() > 0.95
        assert (kept[both] != 0).mean() > 0.7


def test_a_quiet_voice_is_no_leak():
    quiet = 0.05 * B
    _, kept = remove_crosstalk(np.stack((talk([(0, SECONDS)]), quiet)))
    assert (kept[np.abs(quiet) > 0] != 0).mean() > 0.9


@pytest.mark.parametrize(
    ("function", "voices"), [(mix, (A, B)), (mix, (A, -A)), (remove_crosstalk, (A,) * 8)]
)
def test_nothing_is_copied(function, voices):
    channels = tuple(np.tile(voice, 10).astype(np.float32) for voice in voices)
    tracemalloc.start()
    function(channels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000  # of 19 MB each


def test_mixing():
    assert np.allclose(mix(np.stack((A, B))), (A + B) / 2)
    assert np.allclose(mix(np.stack((A, -A))), A)
    assert np.allclose(mix(np.stack((A, B, A))), (2 * A + B) / 3, atol=1e-6)
    assert np.allclose(mix(A[None]), A)


# Boundaries: channels of frames whose levels are known


def at_levels(*frames):
    """Two channels of constant frames, each (decibels left, decibels right, how many)."""
    decibels = np.concatenate([np.tile(frame[:2], (frame[2], 1)) for frame in frames])
    return np.repeat(10 ** (decibels.T / 20), FRAME, axis=1).astype(np.float32)


def test_levels_are_decibels_of_the_power():
    channels = at_levels((0, -20, 1), (-6.02, -60, 1))
    assert _levels(channels) == pytest.approx(np.array([[0, -6.02], [-20, -60]]), abs=0.01)
    assert _levels(0 * channels) == pytest.approx(np.full((2, 2), -120), abs=0.01)


def is_call_in_silence(channels):
    """`is_call`, with a fifth of silence, so that constant frames are not noise."""
    frames = channels.shape[1] // FRAME
    return is_call(np.pad(channels, ((0, 0), (0, (frames // 4 + 1) * FRAME))))


def alternating(loud, quiet, frames=100):
    """Both sides of a call that take equal turns."""
    return at_levels((loud, quiet, frames // 2), (quiet, loud, frames // 2))


@pytest.mark.parametrize(("difference", "expected"), [(11.9, False), (12.1, True)])
def test_a_channel_dominates_by_12_db(difference, expected):
    assert is_call_in_silence(alternating(-20, -20 - difference)) == expected


@pytest.mark.parametrize(("loudest", "expected"), [(-80.1, False), (-79.9, True)])
def test_a_recording_below_80_db_is_silent(loudest, expected):
    assert is_call_in_silence(alternating(loudest, -115)) == expected


@pytest.mark.parametrize(("below", "expected"), [(34.9, True), (35.1, False)])
def test_so_is_what_is_35_db_below_the_loud_frames(below, expected):
    loud = at_levels((-10, -10, 20))  # a tenth of the frames, dominated by nobody
    talk = alternating(-10 - below, -80, 180)
    assert is_call_in_silence(np.concatenate((loud, talk), axis=1)) == expected


def test_a_few_louder_frames_silence_nobody():
    bang = at_levels((0, 0, 8))
    assert is_call_in_silence(np.concatenate((bang, alternating(-40, -80, 192)), axis=1))


@pytest.mark.parametrize(("dominated", "expected"), [(80, False), (81, True)])
def test_more_than_two_thirds_of_the_frames_are_dominated(dominated, expected):
    both = (-20, -20, 120 - dominated)
    channels = at_levels((-20, -50, 40), (-50, -20, dominated - 40), both)
    assert is_call_in_silence(channels) == expected


@pytest.mark.parametrize(
    ("own", "frames", "expected"),
    [(30, 1000, False), (31, 1000, True), (20, 100, False), (21, 100, True)],
    ids=["3 %", "more than 3 %", "one second", "more than one second"],
)
@pytest.mark.parametrize("left_is_rare", [True, False])
def test_each_channel_has_frames_of_its_own(own, frames, expected, left_is_rare):
    channels = at_levels((-20, -50, own), (-50, -20, frames - own))
    assert is_call_in_silence(channels if left_is_rare else channels[::-1]) == expected


def tones(share):
    """A tone, and a mix with another tone that correlates with it by that share."""
    time = np.arange(10 * FRAME) / SAMPLE_RATE
    tone, other = np.sin(2 * np.pi * 400 * time), np.sin(2 * np.pi * 1000 * time)
    return tone, share * tone + np.sqrt(1 - share**2) * other


@pytest.mark.parametrize(("share", "is_silenced"), [(0.48, False), (0.52, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_crosstalk_correlates_with_the_other_channel(share, is_silenced, sign):
    tone, mixed = tones(share)
    loud, quiet = remove_crosstalk(np.stack((tone, sign * 0.1 * mixed)).astype(np.float32))
    assert np.array_equal(loud, tone.astype(np.float32))
    assert quiet.any() != is_silenced


@pytest.mark.parametrize(("difference", "is_silenced"), [(11.9, False), (12.1, True)])
def test_crosstalk_is_12_db_quieter(difference, is_silenced):
    tone, _ = tones(1)
    quiet, _ = remove_crosstalk(
        np.stack((10 ** (-difference / 20) * tone, tone)).astype(np.float32)
    )
    assert quiet.any() != is_silenced


@pytest.mark.parametrize(("lag", "is_silenced"), [(MAX_LAG, True), (MAX_LAG + 1, False)])
@pytest.mark.parametrize("is_early", [True, False])
def test_crosstalk_is_up_to_10_ms_early_or_late(lag, is_silenced, is_early):
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * FRAME).astype(np.float32)
    _, quiet = remove_crosstalk(np.stack((noise, 0.1 * np.roll(noise, -lag if is_early else lag))))
    assert MAX_LAG == SAMPLE_RATE // 100
    assert quiet[FRAME:-FRAME].any() != is_silenced


def test_crosstalk_may_be_inverted():
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * FRAME).astype(np.float32)
    _, quiet = remove_crosstalk(np.stack((noise, -0.1 * noise)))
    assert not quiet.any()


@pytest.mark.parametrize(("correlation", "is_inverted"), [(-0.48, False), (-0.52, True)])
def test_opposite_phase_is_inverted(correlation, is_inverted):
    tone, other = tones(correlation)
    expected = (tone - other if is_inverted else tone + other) / 2
    mixed = mix(np.stack((tone, other)).astype(np.float32))
    assert np.allclose(mixed, expected, atol=1e-6)
