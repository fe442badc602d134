"""What people record with: lines, cables, cameras; a real dialogue in the files that they make."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from tests.fast.audio.test_decode import wav
from tests.fast.audio.test_recording import movie
from tests.support.texts import likeness

SECONDS = 13
TURNS = (
    ("CHANNEL_01", "The more proposals, the more credit."),
    ("CHANNEL_00", "You who were always accusing people of being shoppy at Houston."),
    ("CHANNEL_01", "He has known her all her life and has a good influence over her."),
)
BORDERS = (3.6, 7.9)
"""Seconds at which the other one begins to talk."""


@pytest.fixture(scope="module")
def dialogue(data_dir):
    data = (data_dir / "dialogues" / "d1_1min_2spk.flac").read_bytes()
    return decode_audio(data, max_seconds=100)[: SECONDS * SAMPLE_RATE].copy()


@pytest.fixture(scope="module")
def text(endpoint, dialogue):
    return endpoint({"inputs": wav([dialogue])})["text"]


@pytest.fixture(scope="module")
def sides(dialogue):
    """What each of the two says, alone on a line."""
    first, second = (round(time * SAMPLE_RATE) for time in BORDERS)
    left, right = np.zeros_like(dialogue), dialogue.copy()
    left[first:second] = dialogue[first:second]
    right[first:second] = 0
    return left, right


def noise(decibels, seed=0):
    return 10 ** (decibels / 20) * np.random.default_rng(seed).normal(0, 1, SECONDS * SAMPLE_RATE)


def timecode():
    """SMPTE's, as cameras record it on the second channel: a square wave of two frequencies."""
    bits = np.random.default_rng(0).integers(0, 2, SECONDS * 2000)
    halves = np.stack((np.ones_like(bits), bits), axis=1).ravel()  # changes of sign
    return np.repeat(0.3 * np.cumprod(1 - 2 * halves), SAMPLE_RATE // 4000)


@pytest.mark.parametrize(
    ("quieter_db", "noise_db", "mode"),
    [(35, -110, "auto"), (35, -110, "separate"), (0, -45, "auto"), (15, -60, "auto")],
)
def test_lines_of_any_level_and_noise_are_a_call_in_order(
    endpoint, sides, quieter_db, noise_db, mode
):
    left, right = sides
    call = wav([left + noise(noise_db), 10 ** (-quieter_db / 20) * right + noise(noise_db, 1)])
    answer = endpoint({"inputs": call, "parameters": {"channels": mode}})
    assert answer["stats"]["channels"] == 2
    speakers = answer["speakers"]
    assert [turn["speaker"] for turn in speakers] == [who for who, _ in TURNS]
    for turn, (_, said) in zip(speakers, TURNS, strict=True):
        assert likeness(turn["text"], said) > 0.8
    for segment in answer["segments"]:  # none reaches across the other one's turn
        assert not any(segment["start"] < b - 0.5 and segment["end"] > b + 0.5 for b in BORDERS)


@pytest.mark.parametrize("kind", ["buzz", "noise", "timecode"])
@pytest.mark.parametrize("speech_is_left", [True, False])
def test_a_channel_of_something_else_costs_no_word(endpoint, dialogue, text, kind, speech_is_left):
    seconds = np.arange(len(dialogue)) / SAMPLE_RATE
    other = {"buzz": 0.4 * np.sign(np.sin(2 * np.pi * 50 * seconds)), "noise": noise(-20),
             "timecode": timecode()}[kind]  # fmt: skip
    pair = (dialogue, other) if speech_is_left else (other, dialogue)
    answer = endpoint({"inputs": wav(pair)})
    assert likeness(answer["text"], text) > 0.95
    (warning,) = answer["warnings"]
    assert warning.startswith(f"channel {2 if speech_is_left else 1} without speech left out")


def test_a_phase_that_flips_and_inverted_pairs_cost_no_word(endpoint, dialogue, text):
    flipped = dialogue.copy()
    flipped[6 * SAMPLE_RATE :] *= -1
    for channels in ((dialogue, flipped), (dialogue, -dialogue, 0.5 * dialogue, -0.5 * dialogue)):
        assert likeness(endpoint({"inputs": wav(channels)})["text"], text) > 0.9


def test_the_microphone_of_a_silent_screen_recording_is_heard(endpoint, dialogue, text):
    data = movie(0 * dialogue, dialogue)
    answer = endpoint({"inputs": data})
    assert likeness(answer["text"], text) > 0.9
    assert "audio_track chooses" in answer["warnings"][0]
    silent = endpoint({"inputs": data, "parameters": {"audio_track": 1}})
    assert (silent["text"], silent["warnings"]) == ("", [])


def test_times_are_the_players_when_the_camera_hears_late(endpoint, dialogue):
    early, late = (endpoint({"inputs": movie(dialogue, starts=starts)}) for starts in (0.0, 5.0))
    for before, after in zip(early["words"], late["words"], strict=True):
        assert after["start"] == pytest.approx(before["start"] + 5, abs=0.15)
    assert late["duration"] == pytest.approx(SECONDS + 5, abs=0.1)


def test_joined_broadcasts_and_lost_plus_signs_are_heard(endpoint, dialogue, text):
    parts = [movie(dialogue, starts=s, pictures=False, container="mpegts") for s in (700, 0)]
    answer = endpoint({"inputs": b"".join(parts)})
    assert answer["duration"] == pytest.approx(2 * SECONDS, abs=0.1)
    assert likeness(answer["text"], f"{text} {text}") > 0.9
    sent = base64.b64encode(wav([dialogue])).decode()
    assert endpoint({"inputs": sent.replace("+", " ")})["text"] == text
