"""`POST /render`: files from transcripts, without models."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asr_diarization.formats.json import to_json
from asr_diarization.formats.registry import FORMATS
from asr_diarization.server.render_api import max_transcript_bytes
from asr_diarization.server.settings import ServerSettings
from tests.support.asgi import AUDIO, Call, Gated, app_of, client_of, eventually, run, running
from tests.support.asgi import scripted as scripted_pipeline

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client():
    return client_of()


@pytest.fixture
def transcript(client):
    return client.post("/predict", content=AUDIO).json()


def file_name(answer):
    return unquote(answer.headers["content-disposition"].partition("filename*=UTF-8''")[2])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_what_the_command_line_writes(client, name):
    transcript = scripted_pipeline()(AUDIO)
    body = {"transcript": to_json(transcript), "format": name, "name": "call"}
    answer = client.post("/render", json=body)
    assert answer.status_code == 200
    written = FORMATS[name].write(transcript, "call")
    if FORMATS[name].suffix == "json":  # the script has whole numbers, which become 2.0
        assert answer.json() == json.loads(written)
    else:
        assert answer.text == written
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[name].media_type
    assert file_name(answer) == f"call.{FORMATS[name].suffix}"


def test_edits_are_written(client, transcript):
    for part in ("words", "segments", "turns"):
        for item in transcript[part]:
            if item["speaker"] == "SPEAKER_01":
                item["speaker"] = "Bo"
    transcript["segments"][0]["text"] = "Who are you?"
    answer = client.post("/render", json={"transcript": transcript, "format": "text"})
    assert answer.text == "[00:00.0 SPEAKER_00] Who are you?\n[00:02.0 Bo] Quite well.\n"
    assert file_name(answer) == "recording.txt"


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", None])
def test_the_content_type_does_not_matter(client, transcript, kind):
    body = json.dumps({"transcript": transcript, "format": "srt"}).encode()
    headers = {"Content-Type": kind} if kind else {}
    assert client.post("/render", content=body, headers=headers).text.startswith("1\n00:00:00,000")


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("Gespräch 漢", "Gespr_ch _.srt", "Gespräch 漢.srt"),
        ('a"/../b\\c;d', "a__.._b_c_d.srt", 'a"_.._b_c;d.srt'),
    ],
)
def test_a_file_may_be_called_anything(client, transcript, name, plain, whole):
    answer = client.post("/render", json={"transcript": transcript, "format": "srt", "name": name})
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{plain}"; ')
    assert file_name(answer) == whole


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "docx"}, "format must be 'json' or 'verbose_json' or "),
        ({"format": None}, "format must be a valid string, not None"),
        ({"name": ""}, "name must have at least 1 character, not ''"),
        ({"name": "a\nb"}, "name must match pattern "),
        ({"transcript": None}, "transcript must be a valid dictionary, not None"),
        ({"transcript": {}}, "transcript.language is missing"),
    ],
)
def test_a_bad_field_is_named(client, transcript, change, sentence):
    body = {"transcript": transcript, "format": "srt", **change}
    answer = client.post("/render", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "InvalidParameterError")
    assert answer.json()["error"].startswith(sentence)


def test_a_bad_time_is_named(client, transcript):
    transcript["words"][1]["start"] = "0.5"
    answer = client.post("/render", json={"transcript": transcript, "format": "srt"})
    assert answer.status_code == 422
    assert answer.json()["error"] == "transcript.words[1].start must be a valid number, not '0.5'"
    transcript["words"][1]["start"] = 100
    answer = client.post("/render", json={"transcript": transcript, "format": "srt"})
    assert answer.status_code == 422
    assert "a word must satisfy 0 <= start <= end" in answer.json()["error"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"format": NaN}', b'{"format": "\\ud800"}']
)
def test_what_is_no_json_is_refused(client, body):
    answer = client.post("/render", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (422, "InvalidRequestError")
    assert "the body is not JSON: " in answer.json()["error"]


@pytest.mark.parametrize("settings", [{"max_upload_bytes": 3000}, {"max_audio_seconds": 1}])
def test_a_body_that_is_too_large_is_refused(settings):
    limit = max_transcript_bytes(ServerSettings(**settings))
    client = client_of(**settings)
    for body in (b" " * (limit + 1), iter([b" " * 1000] * (limit // 1000 + 1))):
        answer = client.post("/render", content=body, headers=JSON)
        assert (answer.status_code, answer.json()["type"]) == (413, "TranscriptTooLargeError")
        assert str(limit) in answer.json()["error"]
    assert client.post("/render", content=b" " * limit, headers=JSON).status_code == 422


def test_the_longest_recording_fits():
    settings = ServerSettings()
    word = {
        "word": "word", "start": 14399.123, "end": 14399.456, "probability": 0.987,
        "speaker": "SPEAKER_00",
    }  # fmt: skip
    indented = len(json.dumps([word], indent=2)) + 4 * len(word)  # one level deeper in the answer
    assert 2 * 6 * indented < max_transcript_bytes(settings) / settings.max_audio_seconds


def test_a_key_is_asked_for(transcript):
    client = client_of(api_keys="k1")
    body = {"transcript": transcript, "format": "srt"}
    assert client.post("/render", json=body).status_code == 401
    given = {"Authorization": "Bearer k1"}
    assert client.post("/render", json=body, headers=given).status_code == 200


def test_it_waits_for_no_recording(transcript):
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, max_queue=0)) as app:
            first = Call(app, body=b"a")
            await eventually(lambda: fake.seen == ["a"])
            body = json.dumps({"transcript": transcript, "format": "srt"}).encode()
            assert await Call(app, "/render", body).answered() == 200
            fake.open()
            assert await first.answered() == 200

    run(scenario())


def test_it_is_described(client):
    route = client.get("/openapi.json").json()["paths"]["/render"]["post"]
    (body,) = route["requestBody"]["content"].values()
    assert set(body["schema"]["required"]) == {"transcript", "format"}
    assert body["schema"]["properties"]["format"]["enum"] == list(FORMATS)
    assert set(route["responses"]["200"]["content"]) == {f.media_type for f in FORMATS.values()}
    assert "/render" in client.get("/docs").text
