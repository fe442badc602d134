"""Who it is: one person per channel, and voices that are known; on a real dialogue."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from tests.support.texts import likeness, words

STEM = "dialogues/d1_1min_2spk"


def wav(*channels):
    """Channels as a WAV file."""
    samples = (np.stack(channels, axis=1) * 32767).clip(-32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def dialogue(data_dir):
    data = (data_dir / f"{STEM}.flac").read_bytes()
    return data, decode_audio(data, max_seconds=100)


@pytest.fixture(scope="module")
def reference(data_dir):
    """Each speaker's turns, as slices of samples; in the order in which they begin to talk."""
    turns: dict[str, list[slice]] = {}
    for line in (data_dir / f"{STEM}.rttm").read_text().splitlines():
        _, _, _, start, length, _, _, speaker, *_ = line.split()
        first, count = round(float(start) * SAMPLE_RATE), round(float(length) * SAMPLE_RATE)
        turns.setdefault(speaker, []).append(slice(first, first + count))
    return turns


@pytest.fixture(scope="module")
def sides(dialogue, reference):
    """What each says, alone on a channel."""
    waveform = dialogue[1]
    alone = []
    for turns in reference.values():
        alone.append(np.zeros_like(waveform))
        for turn in turns:
            alone[-1][turn] = waveform[turn]
    return alone


def said_by(answer, speaker):
    return " ".join(s["text"] for s in answer["segments"] if s["speaker"] == speaker)


def test_a_call_has_a_speaker_per_channel(endpoint, sides):
    left, right = sides
    answer = endpoint({"inputs": wav(left + 0.1 * right, right + 0.1 * left)})
    assert {turn["speaker"] for turn in answer["turns"]} == {"CHANNEL_00", "CHANNEL_01"}
    assert answer["stats"]["channels"] == 2
    for channel, side in enumerate(sides):
        alone = endpoint({"inputs": wav(side)})["text"]
        assert likeness(said_by(answer, f"CHANNEL_0{channel}"), alone) > 0.95


def test_who_talks_at_once_on_two_channels_is_heard_in_full(endpoint, sides):
    left, right = sides
    together = wav(left, np.roll(right, -6 * SAMPLE_RATE))
    answer = endpoint({"inputs": together})
    for sentence, channel in (
        ("has a good influence over her", 0),
        ("better than anything else he said", 1),
    ):
        (segment,) = [s for s in answer["segments"] if sentence in s["text"]]
        assert segment["speaker"] == f"CHANNEL_0{channel}"
        assert segment["overlap"]
        assert segment["speaker_confidence"] > 0.9
    mixed = endpoint({"inputs": together, "parameters": {"channels": "mix"}})
    assert mixed["stats"]["channels"] == 1
    assert not any("CHANNEL" in turn["speaker"] for turn in mixed["turns"])


def test_one_scene_on_two_channels_is_as_on_one(endpoint, dialogue):
    data, waveform = dialogue
    answer = endpoint({"inputs": wav(waveform, 0.7 * waveform)})
    assert answer["stats"]["channels"] == 1
    assert {t["speaker"] for t in answer["turns"]} == {"SPEAKER_00", "SPEAKER_01"}
    opposite = {"inputs": wav(waveform, -waveform), "parameters": {"diarize": False}}
    assert likeness(endpoint(opposite)["text"], answer["text"]) > 0.95
    warned = endpoint({"inputs": data, "parameters": {"channels": "separate"}})
    assert warned["warnings"] == ["channels has no effect: the recording has one channel"]


def test_known_voices_are_named_and_others_are_not(endpoint, dialogue, reference, phone_call):
    data, waveform = dialogue
    turn = max(list(reference.values())[1], key=lambda turn: turn.stop - turn.start)
    call = decode_audio(phone_call.read_bytes(), max_seconds=60)
    known = {"Ann": waveform[turn], "Sheila": call[14 * SAMPLE_RATE : 18 * SAMPLE_RATE]}
    answer = endpoint(
        {
            "inputs": data,
            "parameters": {
                "known_speakers": [
                    {"name": name, "audio": base64.b64encode(wav(voice)).decode()}
                    for name, voice in known.items()
                ],
                "return_embeddings": True,
            },
        }
    )  # fmt: skip
    named = {speaker["speaker"] for speaker in answer["speakers"]}
    assert named == set(answer["embeddings"]) == {"Ann", "SPEAKER_00"}
    assert set(answer["similarities"]) == {"Ann"}
    assert answer["similarities"]["Ann"] > 0.6
    assert "the workhouse" in said_by(answer, "Ann")
    assert "her life" in said_by(answer, "SPEAKER_00")
    assert len({len(vector) for vector in answer["embeddings"].values()}) == 1


# Languages and names


def test_spliced_languages_stay_apart(endpoint, dialogue, data_dir):
    spanish = decode_audio(
        (data_dir / "multilingual/13697_11991_000000.opus").read_bytes(), max_seconds=60
    )
    pause = np.zeros(3 * SAMPLE_RATE, dtype=np.float32)
    both = wav(np.concatenate((dialogue[1][: 25 * SAMPLE_RATE], pause, spanish)))
    # So long that English and Spanish share a window.
    answer = endpoint({"inputs": both, "parameters": {"diarize": False, "chunk_length_s": 28}})
    languages = [(s["language"], s["start"] < 25) for s in answer["segments"]]
    assert set(languages) == {("en", True), ("es", False)}
    assert "sorpresa" in answer["text"]
    forced = endpoint({"inputs": both, "parameters": {"diarize": False, "language": "en"}})
    assert {s["language"] for s in forced["segments"]} == {"en"}


def test_a_prompt_spells_names(endpoint, dialogue):
    piece = wav(dialogue[1][28 * SAMPLE_RATE : 41 * SAMPLE_RATE])
    plain, prompted = (
        words(endpoint({"inputs": piece, "parameters": {"diarize": False, **more}})["text"])
        for more in ({}, {"initial_prompt": "Mr. Haile, Mr. Thorneton"})
    )
    assert {"hale", "thornton"} <= set(plain)
    assert {"haile", "thorneton"} <= set(prompted)
