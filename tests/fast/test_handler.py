"""Door 1 with a scripted pipeline: what the host hands in, and what it gets."""

from __future__ import annotations

import base64
import copy
import json
import logging

import pytest

import handler
from asr_diarization.errors import (
    AsrDiarizationError,
    InvalidAudioError,
    InvalidParameterError,
    InvalidRequestError,
    OutOfMemoryError,
)
from asr_diarization.transcript import Turn
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, say, wav

TURNS = (Turn(0, 2, "SPEAKER_00"), Turn(2, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite well.", 2, 4))
AUDIO = wav(4.0)
BASE64 = base64.b64encode(AUDIO).decode()


@pytest.fixture
def transcriber():
    return ScriptedTranscriber(SAID)


@pytest.fixture
def endpoint(monkeypatch, transcriber):
    ready = pipeline(transcriber, ScriptedDiarizer(TURNS))
    monkeypatch.setattr(handler, "load_pipeline", lambda settings, model_dir: ready)
    return handler.EndpointHandler("/repository")


@pytest.mark.parametrize(
    "inputs",
    [AUDIO, bytearray(AUDIO), BASE64, f"data:audio/wav;base64,{BASE64}"],
    ids=["bytes", "bytearray", "base64", "data URL"],
)
def test_answers_every_way_to_send_audio(endpoint, inputs):
    answer = endpoint({"inputs": inputs, "parameters": {"num_speakers": "2"}})
    assert answer["text"] == "How are you? Quite well."
    assert [s["speaker"] for s in answer["speakers"]] == ["SPEAKER_00", "SPEAKER_01"]
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_defaults_of_the_deployment_are_those_of_the_root_config(
    endpoint, transcriber, monkeypatch
):
    class InGerman(handler.InferenceConfig):
        language: str | None = "de"

    monkeypatch.setattr(handler, "InferenceConfig", InGerman)
    endpoint({"inputs": AUDIO})
    endpoint({"inputs": AUDIO, "parameters": {"language": "fr"}})
    assert [asked.language for _, asked in transcriber.calls] == ["de", "fr"]


@pytest.mark.parametrize("parameters", [{}, None, {"batch_size": 1, "task": "translate"}])
def test_the_callers_dict_stays_as_it_was(endpoint, parameters):
    data = {"inputs": BASE64, "parameters": parameters}
    before = copy.deepcopy(data)
    endpoint(data)
    assert data == before


def test_what_was_ignored_is_named(endpoint):
    answer = endpoint({"inputs": AUDIO, "parameters": {"num_speaker": 2, "sampling_rate": 8000}})
    assert any("num_speakers" in warning for warning in answer["warnings"])
    assert any("sampling_rate" in warning for warning in answer["warnings"])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"inputs": "/etc/passwd"}, InvalidAudioError),
        ({"inputs": "https://example.org/a.wav"}, InvalidAudioError),
        ({"inputs": b""}, InvalidAudioError),
        ({"inputs": None}, InvalidAudioError),
        ({"inputs": b"no audio at all" * 9}, InvalidAudioError),
        ({"inputs": AUDIO, "parameters": {"batch_size": 0}}, InvalidParameterError),
        ({"inputs": AUDIO, "parameters": {"assisted": True}}, InvalidParameterError),
        ({"inputs": AUDIO, "parameters": [1]}, InvalidParameterError),
        ({"instances": [BASE64]}, InvalidRequestError),
        ([BASE64], InvalidRequestError),
        (None, InvalidRequestError),
    ],
)
def test_refuses_with_a_message_that_stands_alone_and_goes_on(endpoint, data, error):
    with pytest.raises(error) as caught:
        endpoint(data)
    assert len(str(caught.value)) > 20
    assert "\n" not in str(caught.value)
    assert endpoint({"inputs": AUDIO})["text"]


def test_what_nobody_expected_is_logged_with_its_traceback_and_told_without_details(
    endpoint, transcriber, caplog
):
    transcriber.error = RuntimeError("token hf_secret at /root/models")
    with pytest.raises(AsrDiarizationError) as caught:
        endpoint({"inputs": AUDIO})
    assert not isinstance(caught.value, InvalidRequestError)
    assert "hf_secret" not in str(caught.value)
    assert "RuntimeError" in str(caught.value)
    assert caplog.records[-1].exc_info
    transcriber.error = None
    assert endpoint({"inputs": AUDIO})["text"]


def test_lack_of_memory_keeps_its_name(endpoint, transcriber):
    transcriber.error = OutOfMemoryError("not enough memory")
    with pytest.raises(OutOfMemoryError):
        endpoint({"inputs": AUDIO})


def test_logs_one_line_for_each_request_without_what_was_said(endpoint, caplog):
    with caplog.at_level(logging.INFO, logger="asr_diarization.handler"):
        endpoint({"inputs": AUDIO})
    (record,) = caplog.records
    assert "audio_seconds" in record.getMessage()
    assert "How are you" not in record.getMessage()
