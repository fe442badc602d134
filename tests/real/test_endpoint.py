"""Recordings through the endpoint, end to end: who said what, in which language, or nothing."""

from __future__ import annotations

import base64
import copy
import json
from collections import Counter

import pytest

from asr_diarization.cli.main import main
from asr_diarization.errors import (
    AsrDiarizationError,
    AudioTooLongError,
    InvalidAudioError,
    InvalidParameterError,
    InvalidRequestError,
    ModelLoadError,
)
from handler import EndpointHandler
from tests.support.texts import likeness, words

KEYS = [
    *("text", "chunks", "speakers"),
    *("language", "duration", "words", "segments", "turns", "warnings", "stats"),
]


def without_stats(answer):
    return {key: value for key, value in answer.items() if key != "stats"}


def said_during(answer, start, end):
    """The words whose middle lies in a stretch of time."""
    return [w for w in answer["words"] if start <= (w["start"] + w["end"]) / 2 < end]


def test_a_phone_call_of_two_people(answer, phone_call):
    call = answer(phone_call)
    assert list(call) == KEYS
    assert json.loads(json.dumps(call, allow_nan=False)) == call
    assert (call["language"], call["warnings"]) == ("en", [])
    assert call["duration"] == pytest.approx(30.0, abs=0.1)
    assert {s["speaker"] for s in call["speakers"]} == {"SPEAKER_00", "SPEAKER_01"}
    for sentence in (
        "I didn't know you were there",
        "originally from Chicago",
        "not much difference",
        "they all call me a Yankee down here",
    ):
        assert " ".join(words(sentence)) in " ".join(words(call["text"]))


def test_sentences_are_on_the_right_person(answer, phone_call):
    call = answer(phone_call)
    # By sample.rttm: who speaks alone, and long enough to say a sentence.
    stretches = {(18.2, 21.7): "other", (22.0, 27.5): "one", (15.0, 17.9): "one"}
    found = {}
    for (start, end), who in stretches.items():
        (speaker, count), *others = Counter(
            w["speaker"] for w in said_during(call, start, end)
        ).most_common()
        assert count >= 5
        assert sum(n for _, n in others) <= 1
        found.setdefault(who, set()).add(speaker)
    assert [len(speakers) for speakers in found.values()] == [1, 1]
    assert found["one"] != found["other"]


def test_words_are_the_text_and_their_times_are_in_order(answer, phone_call, data_dir):
    for path in (phone_call, data_dir / "dialogues" / "d1_1min_2spk.flac"):
        call = answer(path)
        assert words(" ".join(w["word"] for w in call["words"])) == words(call["text"])
        starts = [w["start"] for w in call["words"]]
        assert starts == sorted(starts)
        assert all(0 <= w["start"] <= w["end"] <= call["duration"] + 0.05 for w in call["words"])
        assert all(0 <= w["probability"] <= 1 for w in call["words"])
        assert words(" ".join(s["text"] for s in call["speakers"])) == words(call["text"])
        assert words(" ".join(s["text"] for s in call["chunks"])) == words(call["text"])


def test_turns_of_a_dialogue_come_out_as_separate_speaker_turns(answer, data_dir):
    """The seed puts eight of these ten turns into one chunk, with one speaker."""
    folder = data_dir / "dialogues"
    dialogue = answer(folder / "d1_1min_2spk.flac")
    reference = json.loads((folder / "d1_1min_2spk.json").read_text())["segments"]
    spoken_by = []
    for turn in reference:
        said = said_during(dialogue, turn["start"], turn["end"])
        assert likeness(" ".join(w["word"] for w in said), turn["text"]) > 0.5
        ((speaker, _),) = Counter(w["speaker"] for w in said).most_common(1)
        spoken_by.append((turn["speaker"], speaker))
    pairs = Counter(spoken_by)
    assert len({speaker for _, speaker in spoken_by}) == 2
    right = max(
        pairs["1688", a] + pairs["3331", b]
        for a, b in (("SPEAKER_00", "SPEAKER_01"), ("SPEAKER_01", "SPEAKER_00"))
    )
    assert right >= 9, spoken_by
    whole = " ".join(turn["text"] for turn in reference)
    assert likeness(dialogue["text"], whole) > 0.88
    assert 7 <= len(dialogue["speakers"]) <= 11


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg", "webm"])
def test_the_container_does_not_change_the_words(answer, data_dir, suffix):
    folder = data_dir / "formats"
    assert likeness(
        answer(folder / f"sample1.{suffix}")["text"], answer(folder / "sample1.wav")["text"]
    ) > (0.999 if suffix == "flac" else 0.9)


@pytest.mark.parametrize(
    ("name", "least"),
    [("sample1.wav", 0.94), ("sample.m4a", 0.88), ("sample.amr", 0.82)],
)
def test_every_codec_is_understood(answer, data_dir, name, least):
    folder = data_dir / "formats"
    references = json.loads((folder / "reference.json").read_text())
    (reference,) = (row["text"] for row in references if row["file"] == name)
    assert likeness(answer(folder / name)["text"], reference) > least


@pytest.mark.parametrize(
    ("name", "language", "least"),
    [
        ("formats/fr-FR_Narrowband_sample1.wav", "fr", 0.6),
        ("multilingual/13697_11991_000000.opus", "es", 0.7),
        ("multilingual/common_voice_ja_24511055.mp3", "ja", None),
    ],
)
def test_the_language_is_found(answer, data_dir, name, language, least):
    path = data_dir / name
    found = answer(path)
    assert found["language"] == language
    references = json.loads((path.parent / "reference.json").read_text())
    (reference,) = (row["text"] for row in references if row["file"] == path.name)
    if least:
        assert likeness(found["text"], reference) > least
    else:
        shared = sum((Counter(found["text"]) & Counter(reference)).values())
        assert shared > 0.6 * len(reference)
        assert len(found["words"]) > 10  # a word for every character, not one for the sentence


@pytest.mark.parametrize("name", ["silence_5s.flac", "applause_8s.wav"])
def test_where_nobody_speaks_nothing_is_said(answer, data_dir, name):
    found = answer(data_dir / "nonspeech" / name)
    assert (found["text"], found["language"]) == ("", None)
    assert found["chunks"] == found["speakers"] == found["words"] == found["turns"] == []


def test_a_nearly_silent_meeting_gets_no_invented_sentences(answer, data_dir):
    """Two words are said in this half minute; the seed fails on it."""
    assert len(words(answer(data_dir / "ami" / "ami_EN2001d_0-30s.flac")["text"])) <= 2


def test_all_ways_to_send_audio_give_the_same_answer(endpoint, answer, data_dir):
    path = data_dir / "formats" / "sample1.flac"
    text = base64.b64encode(path.read_bytes()).decode()
    expected = without_stats(answer(path))
    for inputs in (text, f"data:audio/flac;base64,{text}"):
        request = {"inputs": inputs, "parameters": None}
        before = copy.deepcopy(request)
        assert without_stats(endpoint(request)) == expected
        assert request == before


def test_the_command_line_gives_the_answer_of_the_endpoint(
    answer, local_models, monkeypatch, data_dir, capsys
):
    path = data_dir / "formats" / "sample1.flac"
    for name, value in local_models.items():
        monkeypatch.setenv(name, value)
    assert main(["transcribe", str(path), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert without_stats(printed) == without_stats(answer(path))


def test_wishes_of_the_caller_have_their_effect(endpoint, phone_call, answer):
    parameters = {
        "num_speakers": "1",
        "language": "English",
        "chunk_length_s": 12,
        "batch_size": 2,
        "initial_prompt": "A phone call between Diane and Sheila.",
        "sampling_rate": 8000,
    }
    found = endpoint({"inputs": phone_call.read_bytes(), "parameters": parameters})
    assert {turn["speaker"] for turn in found["turns"]} == {"SPEAKER_00"}
    assert found["language"] == "en"
    assert found["stats"]["windows"] >= 2
    assert likeness(found["text"], answer(phone_call)["text"]) > 0.7
    assert any("sampling_rate" in warning for warning in found["warnings"])


def test_translates_into_english(endpoint, data_dir):
    audio = (data_dir / "multilingual" / "13697_11991_000000.opus").read_bytes()
    parameters = {"task": "translate", "diarize": False, "language": "es"}
    found = endpoint({"inputs": audio, "parameters": parameters})
    assert {"the", "and"} <= set(words(found["text"]))
    assert found["turns"] == found["speakers"] == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"inputs": b"\x00" * 5000}, InvalidAudioError),
        ({"inputs": "models/whisper-base/config.json"}, InvalidAudioError),
        ({"inputs": b"#EXTM3U\nfile:///etc/passwd\n" * 9}, InvalidAudioError),
        ({"inputs": b"x" * 99, "parameters": {"language": "klingon"}}, InvalidParameterError),
        ({"inputs": b"x" * 99, "parameters": {"assisted": True}}, InvalidParameterError),
        ({"inputs": b"x" * 99, "parameters": {"num_speakers": 99}}, InvalidParameterError),
        ({}, InvalidRequestError),
    ],
)
def test_a_bad_request_is_refused_and_the_next_one_works(endpoint, data_dir, data, error):
    with pytest.raises(error) as caught:
        endpoint(data)
    assert isinstance(caught.value, AsrDiarizationError)
    silence = (data_dir / "nonspeech" / "silence_5s.flac").read_bytes()
    assert endpoint({"inputs": silence})["text"] == ""


def test_an_english_only_model(models_dir, monkeypatch, data_dir, phone_call):
    monkeypatch.setenv("ASR_MODEL", str(models_dir / "whisper-tiny.en"))
    monkeypatch.setenv("MAX_AUDIO_SECONDS", "20")
    endpoint = EndpointHandler("")
    audio = (data_dir / "formats" / "sample1.flac").read_bytes()
    found = endpoint({"inputs": audio, "parameters": {"language": "en"}})
    assert found["language"] == "en"
    assert "sunday morning" in found["text"].lower()
    assert found["speakers"] == []
    for parameters, why in (({"task": "translate"}, "English only"), ({"language": "fr"}, "en")):
        with pytest.raises(InvalidParameterError, match=why):
            endpoint({"inputs": audio, "parameters": parameters})
    with pytest.raises(AudioTooLongError, match="MAX_AUDIO_SECONDS"):
        endpoint({"inputs": phone_call.read_bytes()})


def test_a_deployed_repository_that_is_a_whisper_checkpoint_is_the_model(models_dir, data_dir):
    endpoint = EndpointHandler(str(models_dir / "whisper-tiny.en"))
    audio = (data_dir / "formats" / "sample1.flac").read_bytes()
    assert "sunday morning" in endpoint({"inputs": audio})["text"].lower()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ASR_MODEL", "no/such-model-anywhere"),
        ("ASR_MODEL", "."),
        ("DIARIZATION_MODEL", "no/such-pipeline-anywhere"),
        ("DIARIZATION_MODEL", "."),
        ("DEVICE", "cuda:7"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_one_sentence_at_the_start(
    local_models, monkeypatch, variable, value, tmp_path
):
    for name, setting in {**local_models, variable: value, "HF_TOKEN": "hf_secret"}.items():
        monkeypatch.setenv(name, setting)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelLoadError) as caught:
        EndpointHandler("")
    assert value in str(caught.value)
    assert "hf_secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
