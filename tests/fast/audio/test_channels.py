"""Two channels: a call, or one scene; made of bursts of noise, as speech is in its levels."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from asr_diarization.audio.channels import FRAME, is_call, mix, remove_crosstalk
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
    channels = tuple(np.array(voice, dtype=np.float32) for voice in voices)
    tracemalloc.start()
    function(channels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000  # of 1.9 MB each


def test_mixing():
    assert np.allclose(mix(np.stack((A, B))), (A + B) / 2)
    assert np.allclose(mix(np.stack((A, -A))), A)
    assert np.allclose(mix(np.stack((A, B, A))), (2 * A + B) / 3, atol=1e-6)
    assert np.allclose(mix(A[None]), A)
