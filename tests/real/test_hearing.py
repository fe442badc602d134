"""Quiet speech, speech over music, and short speech in silence: all of it is heard, and only it."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from tests.support.texts import likeness, words


def encoded(waveform, level=1.0):
    """A 32-bit WAV file, so that a low level costs no precision."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(4)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((waveform * level * (2**31 - 1)).astype("<i4").tobytes())
    return buffer.getvalue()


def chord(seconds, peak):
    """Synthetic music: a chord with overtones that is struck every half second."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    notes = [np.sin(2 * np.pi * f * n * t) / n for f in (220, 277.2, 329.6) for n in range(1, 6)]
    music = np.sum(notes, axis=0) * np.exp(-3 * (t % 0.5))
    return (peak * music / np.abs(music).max()).astype(np.float32)


@pytest.fixture(scope="module")
def call(phone_call):
    """The first 10 s of the phone call."""
    return decode_audio(phone_call.read_bytes(), max_seconds=60.0)[: 10 * SAMPLE_RATE]


@pytest.mark.parametrize("decibels", [-40, -60])
def test_a_quiet_recording_keeps_its_words(endpoint, data_dir, decibels):
    loud = decode_audio((data_dir / "formats/sample1.flac").read_bytes(), max_seconds=60.0)
    said = endpoint({"inputs": encoded(loud)})["text"]
    quiet = endpoint({"inputs": encoded(loud, 10 ** (decibels / 20))})["text"]
    assert len(words(said)) > 30
    assert likeness(quiet, said) > 0.95


@pytest.mark.parametrize("loudness", [0.4, 1.0])
def test_speech_after_music_keeps_its_first_words(endpoint, call, loudness):
    music = chord(8.0, loudness * np.abs(call).max())
    answer = endpoint({"inputs": encoded(np.concatenate([music, call]))})
    assert "hello i did not know you were there" in " ".join(words(answer["text"])).replace(
        "didn't", "did not"
    )
    assert all(word["start"] > 8.0 for word in answer["words"])


def test_music_and_noise_have_no_words(endpoint):
    noise = np.random.default_rng(0).normal(0, 0.02, 10 * SAMPLE_RATE).astype(np.float32)
    for sound in (chord(10.0, 0.5), noise):
        assert endpoint({"inputs": encoded(sound)})["words"] == []


def test_short_speech_in_silence_is_in_its_language(endpoint, data_dir):
    path = data_dir / "multilingual/was_der_mensch_saet_de.flac"
    answer = endpoint({"inputs": path.read_bytes()})
    assert answer["language"] == "de"
    said = "Was der Mensch sät, das wird er vielfach ernten."
    assert likeness(answer["text"], said) > 0.8
    assert answer["warnings"] == []
