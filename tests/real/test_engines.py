"""The small engines against the published ones: features, voice activity, warping, diarization."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pyannote.audio
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from transformers import WhisperFeatureExtractor

from asr_diarization.audio import vad
from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.audio.vad import STEP_SAMPLES, SileroDetector
from asr_diarization.audio.windows import STEP_SECONDS, WindowRules, find_speech
from asr_diarization.config import InferenceConfig
from asr_diarization.diarization.diarizer import PyannoteDiarizer
from asr_diarization.diarization.pyannote_pipeline import pyannote3_config
from asr_diarization.errors import CancelledError
from asr_diarization.whisper.alignment import first_frames
from asr_diarization.whisper.features import LogMel

CPU = torch.device("cpu")
VERSION_3 = pyannote.audio.__version__.startswith("3.")


@pytest.fixture(scope="module")
def call(phone_call):
    return decode_audio(phone_call.read_bytes(), max_seconds=60.0)


@pytest.fixture(scope="module")
def dialogue(data_dir):
    path = data_dir / "dialogues" / "d1_1min_2spk.flac"
    return decode_audio(path.read_bytes(), max_seconds=60.0)


# Features


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_those_of_transformers(call, dialogue, mels):
    extractor = WhisperFeatureExtractor(feature_size=mels)
    waveforms = [call, dialogue[:480000], call[:70001], np.zeros(16000, dtype=np.float32)]
    expected = extractor(waveforms, sampling_rate=SAMPLE_RATE, return_tensors="pt")[
        "input_features"
    ]
    found = LogMel(extractor.mel_filters, CPU)(waveforms, 1500)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-3
    assert (found - expected).abs().mean() < 1e-5


# Voice activity


def test_voice_activity_leaves_the_threads_alone():
    code = (
        "import sys, torch; from asr_diarization.audio.vad import SileroDetector; "
        "torch.set_num_threads(2); SileroDetector(); "
        "print(torch.get_num_threads(), 'silero_vad' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["2", "False"]


def published(waveform):
    """Silero's own network, step by step, as its package calls it."""
    with warnings.catch_warnings(action="ignore"):  # of the end of torch.jit
        network = torch.jit.load(str(files("silero_vad") / "data" / "silero_vad.jit"))
    network.reset_states()
    steps = -(-len(waveform) // STEP_SAMPLES)
    padded = np.pad(waveform, (0, steps * STEP_SAMPLES - len(waveform)))
    with torch.inference_mode():
        return [
            network(torch.from_numpy(step)[None], SAMPLE_RATE).item()
            for step in padded.reshape(-1, STEP_SAMPLES)
        ]


@pytest.mark.parametrize("samples", [480000, 100001, 512, 513, 1])
def test_voice_activity_is_that_of_silero(call, samples):
    gains = np.ones((2, -(-samples // STEP_SAMPLES)), dtype=np.float32)
    gains[1] = 0.25
    found = SileroDetector().silero(call[:samples], gains)
    assert np.abs(found[0] - published(call[:samples])).max() < 1e-4
    assert np.abs(found[1] - published(call[:samples] * np.float32(0.25))).max() < 1e-4


def test_voice_activity_does_not_depend_on_the_level(dialogue):
    heard = SileroDetector().probabilities(dialogue)
    quiet = SileroDetector().probabilities(dialogue * np.float32(10 ** (-50 / 20)))
    assert np.abs(heard - quiet).max() < 1e-3
    assert (heard >= 0.5).mean() > 0.7


def test_a_voice_that_is_40_db_quieter_than_the_other_is_heard(dialogue, data_dir):
    said = json.loads((data_dir / "dialogues" / "d1_1min_2spk.json").read_text())["segments"]
    quiet = max(segment["speaker"] for segment in said)
    uneven, is_quiet = dialogue.copy(), np.zeros(-(-len(dialogue) // STEP_SAMPLES), dtype=bool)
    for segment in said:
        if segment["speaker"] == quiet:
            start, end = (round(segment[name] * SAMPLE_RATE) for name in ("start", "end"))
            uneven[start:end] *= 10 ** (-40 / 20)
            is_quiet[start // STEP_SAMPLES : end // STEP_SAMPLES] = True
    before = SileroDetector().probabilities(dialogue) >= 0.5
    after = np.zeros_like(before)
    probabilities = SileroDetector().probabilities(uneven)
    for stretch in find_speech(probabilities, len(dialogue) / SAMPLE_RATE, WindowRules()):
        after[round(stretch.start / STEP_SECONDS) : round(stretch.end / STEP_SECONDS)] = True
    assert after[before & is_quiet].mean() > 0.95
    assert after[before & ~is_quiet].mean() > 0.98


def test_voice_activity_does_not_depend_on_how_much_is_computed_at_once(dialogue, monkeypatch):
    whole = SileroDetector().probabilities(dialogue)
    monkeypatch.setattr(vad, "BATCH_STEPS", 100)
    assert np.abs(SileroDetector().probabilities(dialogue) - whole).max() < 1e-5


def test_the_search_for_speech_can_be_stopped_every_two_minutes(dialogue):
    calls = []

    def stop_at_the_third():
        calls.append(1)
        if len(calls) == 3:
            raise CancelledError("nobody waits")

    hour = np.tile(dialogue, 60)
    with pytest.raises(CancelledError):
        SileroDetector().probabilities(hour, stop_at_the_third)
    calls[:] = [1] * 3
    SileroDetector().probabilities(dialogue[: 30 * SAMPLE_RATE], lambda: calls.append(1))
    assert len(calls) == 4


def test_no_samples_have_no_probabilities():
    assert len(SileroDetector().probabilities(np.zeros(0, dtype=np.float32))) == 0


# Warping


def warped_plainly(cost):
    """The frame at which the cheapest path first reaches each row: every step tried."""
    rows, frames = cost.shape
    total = np.full((rows + 1, frames + 1), np.inf)
    total[0, 0] = 0
    came = np.zeros((rows + 1, frames + 1), dtype=int)
    for i in range(1, rows + 1):
        for j in range(1, frames + 1):
            before = (total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            came[i, j] = int(np.argmin(before))
            total[i, j] = cost[i - 1, j - 1] + min(before)
    i, j = rows, frames
    first = np.zeros(rows)
    while i > 0:
        first[i - 1] = j - 1
        step = came[i, j]
        i, j = i - (step != 2), j - (step != 1)
    return first


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 25), st.integers(0, 2**32 - 1))
def test_warping_is_that_of_the_plain_double_loop(rows, frames, seed):
    cost = np.random.default_rng(seed).normal(size=(rows, frames))
    assert first_frames(cost).tolist() == warped_plainly(cost).tolist()


def test_warping_follows_a_diagonal_that_was_drawn():
    cost = np.ones((5, 50))
    for row in range(5):
        cost[row, 10 * row : 10 * row + 10] = -1
    assert first_frames(cost).tolist() == [0, 10, 20, 30, 40]


# Diarization


@pytest.fixture(scope="module")
def diarizer(models_dir):
    return PyannoteDiarizer(str(models_dir / "diarization"), CPU)


@pytest.fixture(scope="module")
def stock(models_dir, tmp_path_factory):
    path = models_dir / "diarization"
    if VERSION_3:
        config = tmp_path_factory.mktemp("pyannote") / "config.yaml"
        config.write_text(pyannote3_config(path))
        path = config
    return pyannote.audio.Pipeline.from_pretrained(str(path))


def rounded(turns):
    return sorted((round(t.start, 3), round(t.end, 3), t.speaker) for t in turns)


def turns_of(annotation):
    return sorted(
        (round(segment.start, 3), round(segment.end, 3), label)
        for segment, _, label in annotation.itertracks(yield_label=True)
    )


@pytest.mark.parametrize(
    ("seconds", "wishes"),
    [(30, {}), (20, {"num_speakers": 1}), (20, {"num_speakers": 2}), (30, {"max_speakers": 4})],
    ids=str,
)
def test_turns_of_a_phone_call_are_those_of_pyannote(diarizer, stock, call, seconds, wishes):
    waveform = call[: seconds * SAMPLE_RATE]
    file = {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE}
    expected = stock(file, **wishes)
    found = diarizer.run_pyannote(waveform, InferenceConfig(**wishes))
    assert rounded(found.turns) == turns_of(getattr(expected, "speaker_diarization", expected))
    if not VERSION_3:
        assert rounded(found.exclusive) == turns_of(expected.exclusive_speaker_diarization)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(found.exclusive))
    speakers = {turn.speaker for turn in found.turns}
    assert {turn.speaker for turn in found.exclusive} <= speakers
    assert set(found.embeddings) == speakers
    assert len({len(vector) for vector in found.embeddings.values()}) == 1


def test_a_number_that_is_too_large_hardly_cuts_a_voice_in_two(diarizer, stock, call, phone_call):
    """Two people are on the phone; pyannote finds four when it is told to, at any price."""
    reference = next(iter(load_rttm(phone_call.with_suffix(".rttm")).values()))
    forced = stock(
        {"waveform": torch.from_numpy(call)[None], "sample_rate": SAMPLE_RATE}, num_speakers=4
    )
    found = Annotation()
    for turn in diarizer.run_pyannote(call, InferenceConfig(num_speakers=4)).turns:
        found[Segment(turn.start, turn.end)] = turn.speaker
    whole = Timeline([Segment(0.0, len(call) / SAMPLE_RATE)])
    error = DiarizationErrorRate(collar=0.0)
    assert error(reference, getattr(forced, "speaker_diarization", forced), uem=whole) > 0.3
    assert error(reference, found, uem=whole) < 0.1


@pytest.mark.parametrize("samples", [0, 1, 800, 1600, 16000])
def test_hardly_any_sound_and_silence_have_no_turns(diarizer, samples):
    assert diarizer.diarize(np.zeros(samples, dtype=np.float32), InferenceConfig()).turns == ()
