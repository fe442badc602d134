"""Known people among the speakers found."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.audio.windows import Stretch, Window
from asr_diarization.diarization import known_speakers
from asr_diarization.diarization.known_speakers import extract_speech, recognise
from asr_diarization.errors import InvalidParameterError
from asr_diarization.payloads import parse_parameters
from asr_diarization.transcript import Turn
from tests.support.fakes import (
    ScriptedDiarizer,
    ScriptedSpeech,
    ScriptedTranscriber,
    pipeline,
    say,
    wav,
)


def at(degrees):
    """A voice; two are alike by the cosine of the angle between them."""
    return (float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees))))


def names(found, known):
    pairs = recognise(
        {f"S{i}": at(angle) for i, angle in enumerate(found)},
        {name: at(angle) for name, angle in known.items()},
    )
    return {speaker: name for speaker, (name, _) in pairs.items()}


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ([0, 90], {"Ann": 10, "Bob": 80}, {"S0": "Ann", "S1": "Bob"}),
        ([90, 0], {"Ann": 10, "Bob": 80}, {"S1": "Ann", "S0": "Bob"}),
        ([0, 180], {"Ann": 10, "Bob": 95}, {"S0": "Ann"}),
        ([0], {"Ann": 61}, {}),
        ([0], {"Ann": 59}, {"S0": "Ann"}),
        ([0, 10], {"Ann": 5}, {}),
        ([0], {"Ann": 5, "Bob": -5}, {}),
        ([0, 40], {"Ann": 5}, {"S0": "Ann"}),
        ([], {"Ann": 0}, {}),
        ([0], {}, {}),
    ],
)
def test_one_to_one_with_a_threshold_and_a_margin(found, known, expected):
    assert names(found, known) == expected


@pytest.mark.parametrize(("threshold", "matches"), [(0.6, True), (np.nextafter(0.6, 1), False)])
def test_the_least_similarity_is_enough(threshold, matches, monkeypatch):
    assert known_speakers.MIN_SIMILARITY == 0.5
    monkeypatch.setattr(known_speakers, "MIN_SIMILARITY", threshold)
    pairs = recognise({"S0": (1.0, 0.0)}, {"Ann": (3.0, 4.0)})
    assert pairs == ({"S0": ("Ann", 0.6)} if matches else {})


@pytest.mark.parametrize(("margin", "matches"), [(0.2, True), (0.2 + 1e-9, False)])
@pytest.mark.parametrize("is_between_known", [True, False])
def test_the_least_margin_is_enough(margin, matches, is_between_known, monkeypatch):
    assert known_speakers.MIN_MARGIN == 0.1
    monkeypatch.setattr(known_speakers, "MIN_MARGIN", margin)
    one, two = {"one": (1.0, 0.0)}, {"near": (4.0, 3.0), "far": (3.0, 4.0)}
    pairs = recognise(one, two) if is_between_known else recognise(two, one)
    match = {"one": ("near", 0.8)} if is_between_known else {"near": ("one", 0.8)}
    assert pairs == (match if matches else {})


def test_pairs_are_chosen_by_the_sum_of_their_similarities():
    assert names([25, -40], {"Ann": 0}) == {"S0": "Ann"}
    # With Bob, S0 and Bob plus S1 and Ann are more similar than S0 and Ann plus S1 and Bob.
    assert names([25, -40], {"Ann": 0, "Bob": 71}) == {}


def spoken(*runs):
    """One window of all of a minute, in which somebody speaks in those seconds."""
    waveform = np.arange(60 * SAMPLE_RATE, dtype=np.float32)
    return [Window(waveform, (Stretch(0, 60),), tuple(Stretch(*run) for run in runs))]


def test_a_second_of_speech_is_enough_and_30_are_kept():
    assert extract_speech(spoken((0, 0.5), (2, 2.484375))) is None
    speech = extract_speech(spoken((0, 0.5), (2, 2.5)))
    assert np.array_equal(speech, np.arange(30 * SAMPLE_RATE, dtype=np.float32))
    assert extract_speech([]) is None


def voice(name, seconds=2.0):
    return {"name": name, "audio": base64.b64encode(wav(seconds)).decode()}


TURNS = (Turn(0, 2, "SPEAKER_00"), Turn(2, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite well.", 2, 4))


def ask(speech=None, diarizer=True, **parameters):
    found = ScriptedDiarizer(TURNS, embeddings={"SPEAKER_00": at(90), "SPEAKER_01": at(0)})
    recognizer = pipeline(ScriptedTranscriber(SAID), found if diarizer else None, speech)
    return recognizer(wav(4.0), parse_parameters(parameters)[0])


def test_a_known_voice_gives_its_name_to_turns_words_and_vectors():
    transcript = ask(known_speakers=[voice("Ann")], return_embeddings=True)
    assert [s.speaker for s in transcript.segments] == ["SPEAKER_00", "Ann"]
    assert [w.speaker for w in transcript.segments[1].words] == ["Ann", "Ann"]
    assert [t.speaker for t in transcript.turns] == ["SPEAKER_00", "Ann"]
    assert set(transcript.embeddings) == {"SPEAKER_00", "Ann"}
    assert transcript.similarities["Ann"] == pytest.approx(1, abs=1e-3)


def test_a_recording_of_a_minute_is_not_too_long():
    assert ask(known_speakers=[voice("Ann", 60)]).similarities["Ann"]


def test_without_being_asked_nothing_is_said_of_voices():
    transcript = ask()
    assert (transcript.similarities, transcript.embeddings) == ({}, {})


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ([voice("Ann", 0.9)], "'Ann' has less than a second of speech"),
        ([voice("Ann", 61)], "'Ann' is longer than 60 s"),
        ([{"name": "Ann", "audio": "%%%"}], "audio of 'Ann' is not valid base64"),
        ([{"name": "Ann", "audio": "data:audio/wav,x"}], "audio of 'Ann': a data: URL must hold"),
        ([{"name": "Ann", "audio": "A" * 400}], "audio of 'Ann': not audio"),
        ([voice("Ann"), voice("Ann")], "two speakers called 'Ann'"),
        ([voice("SPEAKER_03")], "must not be called 'SPEAKER_03'"),
        ([{"name": "Ann"}], "known_speakers must be a list of at most 20"),
        ("[{", "known_speakers must be a list of at most 20"),
    ],
)
def test_what_is_no_voice_is_refused_by_name(known, message):
    with pytest.raises(InvalidParameterError, match=message):
        ask(known_speakers=known)


def test_without_speakers_it_is_said_to_be_pointless():
    transcript = ask(diarizer=False, known_speakers=[voice("Ann")], return_embeddings=True)
    (warning,) = transcript.warnings
    assert warning.startswith("known_speakers, return_embeddings has no effect")


def test_silence_in_place_of_a_voice():
    with pytest.raises(InvalidParameterError, match="less than a second of speech"):
        ask(speech=ScriptedSpeech([]), known_speakers=[voice("Ann")])
