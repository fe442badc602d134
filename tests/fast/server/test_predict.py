"""Door 2 with a scripted pipeline: bodies and errors."""

from __future__ import annotations

import base64
import json
from typing import get_args

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import OutOfMemoryError
from asr_diarization.formats.json import to_json
from asr_diarization.formats.response import ResponseJson
from asr_diarization.formats.validation import validated
from tests.support.asgi import AUDIO, SAID, TEXT, TURNS, client_of, scripted
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, wav

ENCODED = base64.b64encode(AUDIO).decode()


@pytest.fixture
def client():
    return client_of()


LISTED = {"languages": ["en", "es"]}


@pytest.mark.parametrize(
    "request_",
    [
        {"content": AUDIO, "params": {"languages": "en,es"}},
        {"content": AUDIO, "params": LISTED},
        {"files": {"file": ("a.wav", AUDIO)}, "data": LISTED},
        {"files": {"file": ("a.wav", AUDIO)}, "data": {"parameters": json.dumps(LISTED)}},
        {"json": {"inputs": ENCODED, "parameters": LISTED}},
        {"json": {"inputs": ENCODED}, "params": LISTED},
    ],
)
def test_a_list_may_be_sent_in_every_way(request_):
    transcriber = ScriptedTranscriber(SAID)
    assert client_of(pipeline(transcriber)).post("/predict", **request_).status_code == 200
    assert transcriber.calls[0][1] == InferenceConfig(languages=("en", "es"))


class TestBodies:
    @pytest.mark.parametrize("path", ["/", "/predict"])
    @pytest.mark.parametrize(
        "request_",
        [
            {"files": {"file": ("a.wav", AUDIO)}},
            {"files": {"file": ("a.wav", AUDIO)}, "data": {"parameters": '{"num_speakers": 2}'}},
            {"files": {"file": ("a.wav", AUDIO)}, "data": {"num_speakers": "2"}},
            {"json": {"inputs": ENCODED}},
            {"json": {"inputs": ENCODED, "parameters": {"num_speakers": 2}}},
            {"json": {"inputs": f"data:audio/wav;base64,{ENCODED}"}},
            {"content": json.dumps({"inputs": ENCODED}).encode()},
            {
                "content": b'  {"inputs": "' + ENCODED.encode() + b'"}',
                "headers": {"Content-Type": "application/octet-stream"},
            },
            {"content": AUDIO},
            *(
                {"content": AUDIO, "headers": {"Content-Type": kind}}
                for kind in (
                    "audio/wav",
                    "Audio/WAV; charset=binary",
                    "audio/mp4",
                    "video/webm",
                    "application/octet-stream",
                    "application/x-www-form-urlencoded",
                    "text/plain",
                )
            ),
        ],
    )
    def test_say_the_same(self, client, path, request_):
        answer = client.post(path, **request_)
        assert answer.status_code == 200
        body = answer.json()
        assert body["text"] == TEXT
        assert body["warnings"] == []
        body.pop("stats")
        expected = to_json(scripted()(AUDIO))
        expected.pop("stats")
        assert body == expected

    @pytest.mark.parametrize(
        "request_",
        [
            {"content": AUDIO, "params": {"num_speakers": 3, "assisted": "false"}},
            {"json": {"inputs": ENCODED}, "params": {"num_speakers": "3"}},
            {
                "json": {"inputs": ENCODED, "parameters": {"num_speakers": 3}},
                "params": {"num_speakers": "2"},
            },
            {
                "files": {"file": AUDIO},
                "data": {"parameters": '{"num_speakers": 3}', "num_speakers": "4"},
                "params": {"num_speakers": 5},
            },
        ],
    )
    def test_parameters_come_from_the_query_unless_the_body_says_otherwise(self, request_):
        diarizer = ScriptedDiarizer(TURNS)
        client = client_of(pipeline(ScriptedTranscriber(SAID), diarizer))
        assert client.post("/predict", **request_).status_code == 200
        assert diarizer.calls[0][1] == InferenceConfig(num_speakers=3)

    def test_unknown_parameters_are_warned_of(self, client):
        answer = client.post("/predict?num_speaker=2", content=AUDIO).json()
        assert answer["warnings"] == [
            "unknown parameter 'num_speaker' was ignored; did you mean 'num_speakers'?"
        ]

    def test_a_large_one_is_spooled_and_the_same(self, client):
        audio = wav(60.0)
        assert len(audio) > 1_900_000
        for request_ in ({"content": audio}, {"files": {"file": audio}}):
            assert client.post("/predict", **request_).json()["duration"] == 60


class TestSchema:
    """The answer has the fields that are described, and no other."""

    @pytest.fixture
    def answer(self):
        diarizer = ScriptedDiarizer(TURNS, embeddings={"SPEAKER_00": (1.0, 0.0)})
        client = client_of(pipeline(ScriptedTranscriber(SAID), diarizer))
        return client.post("/predict?return_embeddings=true", content=AUDIO).json()

    def test_the_answer_is_as_declared(self, answer):
        """Validation leaves out fields that are not declared."""
        assert answer["embeddings"] == {"SPEAKER_00": [1.0, 0.0]}
        assert validated(ResponseJson, answer) == answer
        assert validated(ResponseJson, {**answer, "more": 1}) == answer

    def test_the_answer_is_as_openapi_says(self, client, answer):
        route = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
        schema = route["responses"]["200"]["content"]["application/json"]["schema"]
        check_schema(answer, schema)
        with pytest.raises(AssertionError):
            check_schema({**answer, "more": 1}, schema)
        with pytest.raises(AssertionError):
            check_schema({name: value for name, value in answer.items() if name != "turns"}, schema)


KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "number": int | float,
    "integer": int,
    "boolean": bool,
    "null": None.__class__,
}


def check_schema(value, schema):
    """Whether `value` has exactly the keys of a JSON schema, at every depth."""
    kinds = {one["type"]: one for one in schema.get("anyOf", [schema])}
    (kind,) = [kind for kind in kinds if type(value) in (KINDS[kind], *get_args(KINDS[kind]))]
    schema = {**schema, **kinds[kind]}
    if kind == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value) <= set(schema["properties"])
        for name, inner in value.items():
            check_schema(inner, schema["properties"][name])
    elif kind == "object":
        for inner in value.values():
            check_schema(inner, schema["additionalProperties"])
    elif kind == "array":
        for inner in value:
            check_schema(inner, schema["items"])


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "request_"),
        [
            (415, "InvalidAudioError", {"content": b"this is no audio at all"}),
            (415, "InvalidAudioError", {"content": b""}),
            (415, "InvalidAudioError", {"files": {"file": b""}}),
            (415, "InvalidAudioError", {"json": {"inputs": "/etc/passwd"}}),
            (415, "InvalidAudioError", {"json": {"inputs": "http://127.0.0.1/a.wav"}}),
            (415, "InvalidAudioError", {"content": AUDIO, "headers": {"Content-Encoding": "br"}}),
            (413, "AudioTooLongError", {"content": wav(11.0)}),
            (413, "AudioTooLongError", {"content": b"\0" * 400_001}),
            (413, "AudioTooLongError", {"files": {"file": b"\0" * 400_001}}),
            (413, "AudioTooLongError", {"json": {"inputs": "A" * 600_000}}),
            (413, "AudioTooLongError", {"content": iter([b"\0" * 100_000] * 5)}),
            (413, "AudioTooLongError", {"content": b"\0" * 2_000_000}),
            (422, "InvalidParameterError", {"content": AUDIO, "params": {"num_speakers": "many"}}),
            (422, "InvalidParameterError", {"content": AUDIO, "params": {"language": "klingon"}}),
            (
                422,
                "InvalidParameterError",
                {"files": {"file": AUDIO}, "data": {"parameters": "[1]"}},
            ),
            (422, "InvalidRequestError", {"files": {"file": AUDIO}, "data": {"parameters": "{"}}),
            (422, "InvalidRequestError", {"files": {"audio": AUDIO}}),
            (422, "InvalidRequestError", {"files": {"a": (None, "no file at all")}}),
            (
                422,
                "InvalidRequestError",
                {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
            ),
            (
                422,
                "InvalidRequestError",
                {
                    "content": b"--x\r\n-5.0--x--\r\n",
                    "headers": {"Content-Type": "multipart/form-data; boundary=x"},
                },
            ),
            (
                422,
                "InvalidRequestError",
                {"content": b"{", "headers": {"Content-Type": "application/json"}},
            ),
            (
                422,
                "InvalidRequestError",
                {"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}},
            ),
            (422, "InvalidRequestError", {"json": {"instances": []}}),
        ],
    )
    def test_are_sentences_with_a_status(self, status, kind, request_):
        client = client_of(pipeline(max_audio_seconds=10), max_upload_bytes=400_000)
        answer = client.post("/predict", **request_)
        assert (answer.status_code, answer.json()["type"]) == (status, kind)
        assert set(answer.json()) == {"error", "type"}
        assert answer.json()["error"]

    @pytest.mark.parametrize(
        ("status", "error", "said"),
        [
            (503, OutOfMemoryError("too small a machine"), "too small a machine"),
            (503, MemoryError(), "not enough memory for this recording"),
            (500, RuntimeError("a secret path"), "internal error"),
        ],
    )
    def test_of_ours_do_not_pass_on_and_the_next_request_is_well(self, status, error, said):
        transcriber = ScriptedTranscriber(SAID)
        client = client_of(pipeline(transcriber, ScriptedDiarizer(TURNS)))
        transcriber.error = error
        answer = client.post("/predict", content=AUDIO)
        assert answer.status_code == status
        assert said in answer.json()["error"]
        assert "secret" not in answer.text
        assert answer.headers["x-request-id"]
        assert ("retry-after" in answer.headers) == (status == 503)
        transcriber.error = None
        assert client.post("/predict", content=AUDIO).json()["text"] == TEXT

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/predict", 405)]
    )
    def test_of_the_address_have_the_same_shape(self, client, method, path, status):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "type"}
