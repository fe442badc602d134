"""Two people on a bad telephone line stay two, a given number is met, one voice stays one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.config import InferenceConfig
from asr_diarization.diarization.diarizer import PyannoteDiarizer
from asr_diarization.transcript import Diarization


@pytest.fixture(scope="module")
def diarizer(models_dir):
    return PyannoteDiarizer(str(models_dir / "diarization"), torch.device("cpu"))


@pytest.fixture(scope="module")
def dialogue(data_dir):
    return decode_audio((data_dir / "dialogues/d1_1min_2spk.flac").read_bytes(), max_seconds=100)


@pytest.fixture(scope="module")
def utterance(data_dir):
    """7 s of one voice."""
    return decode_audio((data_dir / "formats/sample1.wav").read_bytes(), max_seconds=100)


@pytest.fixture(scope="module")
def reference(data_dir):
    """When each person talks: (frames, 2), 100 frames a second."""
    talks = np.zeros((7000, 2), dtype=bool)
    names: dict[str, int] = {}
    for line in (data_dir / "dialogues/d1_1min_2spk.rttm").read_text().splitlines():
        _, _, _, start, length, _, _, name, *_ = line.split()
        first, last = round(float(start) * 100), round((float(start) + float(length)) * 100)
        talks[first:last, names.setdefault(name, len(names))] = True
    return talks


def over_the_telephone(waveform: np.ndarray) -> np.ndarray:
    """400 to 2800 Hz, and noise 10 dB below the speech."""
    band = butter(4, [400, 2800], "band", fs=SAMPLE_RATE, output="sos")
    speech = sosfilt(band, waveform)
    noise = sosfilt(band, np.random.default_rng(0).normal(size=len(waveform)))
    noise *= np.sqrt((speech**2).mean() / (noise**2).mean() / 10)
    mixed = speech + noise
    return (0.5 * mixed / np.abs(mixed).max()).astype(np.float32)


def confusion(found: Diarization, reference: np.ndarray) -> float:
    """The share of the time with one speaker, found and true, in which they differ."""
    speakers = sorted({turn.speaker for turn in found.turns})
    talks = np.zeros((len(reference), len(speakers)), dtype=bool)
    for turn in found.exclusive:
        talks[round(turn.start * 100) : round(turn.end * 100), speakers.index(turn.speaker)] = True
    both = (talks.sum(axis=1) == 1) & (reference.sum(axis=1) == 1)
    right = talks[both].astype(int).T @ reference[both].astype(int)
    return 1 - max(np.trace(right), np.trace(right[::-1])) / both.sum()


@pytest.mark.parametrize("wishes", [{}, {"num_speakers": 2}], ids=str)
def test_two_people_on_a_noisy_telephone_line_stay_two(diarizer, dialogue, reference, wishes):
    found = diarizer.diarize(over_the_telephone(dialogue), InferenceConfig(**wishes))
    assert len({turn.speaker for turn in found.turns}) == 2
    assert set(found.embeddings) == {turn.speaker for turn in found.turns}
    assert confusion(found, reference) < 0.12
    assert found.turn_taking > 0.2


def test_one_voice_stays_one_whatever_the_line(diarizer, utterance):
    longer = np.concatenate([utterance, np.zeros(SAMPLE_RATE, np.float32)] * 4)
    for waveform in (longer, over_the_telephone(longer)):
        found = diarizer.diarize(waveform, InferenceConfig())
        assert len({turn.speaker for turn in found.turns}) == 1
        assert found.turn_taking == 0.0


@pytest.mark.parametrize("number", [2, 3])
def test_a_given_number_is_met_whoever_talks(diarizer, utterance, number):
    """As many turns as the utterance is repeated: all of one voice, but the caller knows."""
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    waveform = np.concatenate([utterance[: 4 * SAMPLE_RATE], pause] * 3)
    for wishes in ({"num_speakers": number}, {"min_speakers": number}):
        found = diarizer.diarize(waveform, InferenceConfig(**wishes))
        assert len({turn.speaker for turn in found.turns}) == number
        assert {turn.speaker for turn in found.exclusive} == {t.speaker for t in found.turns}


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_little_speech_has_an_embedding_and_ends_with_the_recording(diarizer, utterance, seconds):
    """pyannote clusters local speakers who fill a fifth of their chunk only."""
    speech = utterance[3 * SAMPLE_RATE : round((3 + seconds) * SAMPLE_RATE)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of numpy: mean of empty slice
        found = diarizer.diarize(speech, InferenceConfig())
    assert found.turns
    assert max(turn.end for turn in found.turns) <= seconds
    assert set(found.embeddings) == {turn.speaker for turn in found.turns}
    assert all(np.isfinite(vector).all() for vector in found.embeddings.values())


def test_no_turn_lasts_a_frame(diarizer, data_dir):
    for path in sorted((data_dir / "ami").glob("*.flac")):
        waveform = decode_audio(path.read_bytes(), max_seconds=100)
        found = diarizer.diarize(waveform, InferenceConfig())
        assert min(turn.end - turn.start for turn in found.turns) >= 0.1
