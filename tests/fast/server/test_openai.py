"""Door 2 as OpenAI's clients see it."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from starlette.testclient import TestClient

from asr_diarization.config import InferenceConfig
from asr_diarization.server.app import create_app
from asr_diarization.server.settings import ServerSettings
from tests.support.asgi import AUDIO, SAID, TEXT, TURNS, client_of, scripted
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline


@pytest.fixture
def client():
    return client_of()


class TestOpenAI:
    PATH = "/v1/audio/transcriptions"

    def post(self, client, path=PATH, **data):
        return client.post(path, files={"file": ("a.wav", AUDIO)}, data={"model": "any", **data})

    def test_json_is_the_default(self, client):
        answer = self.post(client)
        assert answer.json() == {"text": TEXT}

    @pytest.mark.parametrize(
        ("name", "kind", "begins"),
        [
            ("text", "text/plain", TEXT + "\n"),
            ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:02,000\nHow are you?\n"),
            ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHow are you?\n"),
        ],
    )
    def test_text_formats(self, client, name, kind, begins):
        answer = self.post(client, response_format=name)
        assert answer.headers["content-type"].startswith(kind)
        assert answer.text.startswith(begins)

    def test_speakers_when_asked_for(self, client):
        answer = self.post(client, response_format="srt", diarize="true")
        assert "SPEAKER_01: Quite well." in answer.text

    @pytest.mark.parametrize(
        ("granularities", "keys"),
        [([], {"segments"}), (["word"], {"words"}), (["word", "segment"], {"words", "segments"})],
    )
    def test_verbose_json(self, client, granularities, keys):
        data = {"timestamp_granularities[]": granularities, "response_format": "verbose_json"}
        answer = self.post(client, **data).json()
        assert {"words", "segments"} & set(answer) == keys
        assert answer["duration"] == 4

    def test_diarized_json(self, client):
        answer = self.post(client, response_format="diarized_json").json()
        assert [s["speaker"] for s in answer["segments"]] == ["SPEAKER_00", "SPEAKER_01"]
        assert answer["segments"][0]["words"][0]["speaker"] == "SPEAKER_00"

    def test_diarized_json_without_a_diarization_model(self):
        app = create_app(ServerSettings(), pipeline=scripted())
        answer = self.post(TestClient(app), response_format="diarized_json")
        assert answer.status_code == 422
        assert "DIARIZATION_MODEL" in answer.json()["error"]["message"]

    def test_fields_reach_the_pipeline(self):
        transcriber = ScriptedTranscriber(SAID)
        client = client_of(pipeline(transcriber, ScriptedDiarizer(TURNS)))
        path = "/v1/audio/translations"
        fields = {"prompt": "Names", "language": "fr", "num_speakers": "2", "temperature": "0.2"}
        answer = self.post(
            client, path, **fields, response_format="diarized_json", chunking_strategy="auto"
        )
        assert answer.json()["task"] == "translate"
        assert transcriber.calls[0][1] == InferenceConfig(
            task="translate", initial_prompt="Names", language="fr", num_speakers=2
        )

    @pytest.mark.parametrize(
        "data",
        [{"languages": ["en", "es"]}, {"languages[]": ["en", "es"]}, {"languages": "en,es"}],
    )
    def test_languages_reach_the_pipeline(self, data):
        transcriber = ScriptedTranscriber(SAID)
        self.post(client_of(pipeline(transcriber)), **data)
        assert transcriber.calls[0][1].languages == ("en", "es")

    @pytest.mark.parametrize("name", ["keywords[]", "keywords", "keyterms", "keyterms[]"])
    @pytest.mark.parametrize("value", [["Ann Lee", "Bo"], "Ann Lee, Bo", '["Ann Lee", "Bo"]'])
    def test_key_terms_reach_the_pipeline(self, name, value):
        transcriber = ScriptedTranscriber(SAID)
        self.post(client_of(pipeline(transcriber)), **{name: value, "prompt": "A call"})
        parameters = transcriber.calls[0][1]
        assert (parameters.keyterms, parameters.initial_prompt) == (("Ann Lee", "Bo"), "A call")

    @pytest.mark.parametrize(
        ("status", "data"),
        [
            (422, {"response_format": "docx"}),
            (422, {"temperature": "hot"}),
            (422, {"temperature": "nan"}),
            (422, {"stream": "perhaps"}),
            (422, {"timestamp_granularities[]": "letter"}),
            (422, {"num_speakers": "0"}),
        ],
    )
    def test_errors_have_openais_shape(self, client, status, data):
        answer = self.post(client, **data)
        assert answer.status_code == status
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"

    def test_other_bodies_and_addresses_have_openais_shape(self, client):
        for answer, status in (
            (client.post(self.PATH, content=AUDIO), 422),
            (client.post(self.PATH, data={"model": "x"}), 422),
            (client.get("/v1/nothing"), 404),
            (client.get(self.PATH), 405),
        ):
            assert answer.status_code == status
            assert answer.json()["error"]["message"]

    def test_models(self, tmp_path):
        for name, shown in (("openai/whisper-tiny", "openai/whisper-tiny"), (tmp_path, None)):
            answer = client_of(asr_model=str(name)).get("/v1/models").json()
            assert [model["id"] for model in answer["data"]] == [shown or tmp_path.name]

    def test_one_model(self):
        client = client_of(asr_model="openai/whisper-tiny")
        assert client.get("/v1/models/openai/whisper-tiny").json()["object"] == "model"
        answer = client.get("/v1/models/gpt-4o-transcribe")
        assert answer.status_code == 404
        assert "only 'openai/whisper-tiny'" in answer.json()["error"]["message"]
