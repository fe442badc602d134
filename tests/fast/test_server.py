"""Door 2 with a scripted pipeline: bodies, formats, errors, headers, keys."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asgi import SAID, TURNS, Gated, scripted
from fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, wav
from pydantic import ValidationError
from starlette.testclient import TestClient

from asr_diarization import cli, server
from asr_diarization.errors import ModelLoadError, OutOfMemoryError
from asr_diarization.formats import to_json
from asr_diarization.server import create_app
from asr_diarization.server_settings import ServerSettings
from config import InferenceConfig, ModelSettings
from diarization_utils import Transcript

AUDIO = wav(4.0)
ENCODED = base64.b64encode(AUDIO).decode()
TEXT = "How are you? Quite well."


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ServerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def client_of(ready=None, **settings) -> TestClient:
    settings = ServerSettings(diarization_model="scripted", **settings)
    app = create_app(settings, pipeline=ready or scripted())
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client():
    return client_of()


def _shown(default) -> str:
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default else "none"


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


class TestOperators:
    def test_health(self, client):
        for path in ("/", "/health"):
            assert client.get(path).text == "OK"
        for path in ("/", "/health", "/ready"):
            assert client.head(path).status_code == 200

    def test_ready(self, client):
        assert client.get("/ready").json() == {"ready": True, "running": 0, "waiting": 0}

    def test_metrics_count(self, client):
        client.post("/predict", content=AUDIO)
        client.get("/wp-login.php")
        page = client.get("/metrics").text
        for line in (
            'asr_requests_total{route="/predict",status="200"} 1.0',
            'asr_requests_total{route="other",status="404"} 1.0',
            "asr_audio_seconds_total 4.0",
            'asr_stage_seconds_total{stage="transcribe"}',
            "asr_queue_waiting 0.0",
            "asr_real_time_factor_count 1.0",
        ):
            assert line in page

    def test_metrics_of_the_assistant(self):
        class Assisted(Gated):
            def __call__(self, audio, parameters, on_progress):
                stats = {"speculative": {"drafted": 8, "accepted": 6}, "seconds": {"decode": 0.5}}
                return Transcript("en", 4.0, SAID, TURNS, stats=stats)

        client = client_of(Assisted())
        client.post("/predict", content=AUDIO)
        page = client.get("/metrics").text
        for line in (
            "asr_drafted_tokens_total 8.0",
            "asr_accepted_tokens_total 6.0",
            "asr_acceptance_rate 0.75",
        ):
            assert line in page

    def test_the_page_of_documents_loads_nothing(self, client):
        page = client.get("/docs").text
        assert "/v1/audio/transcriptions" in page
        assert "num_speakers" in page
        assert "http://" not in page
        assert "https://" not in page
        assert client.get("/openapi.json").json()["openapi"].startswith("3.1")

    def test_one_line_is_logged_without_secrets_or_words(self, client, caplog):
        caplog.set_level(logging.INFO)
        client.post(
            "/predict?initial_prompt=confidential",
            content=AUDIO,
            headers={"X-Request-ID": "abc-1", "Authorization": "Bearer hidden"},
        )
        (record,) = [r for r in caplog.records if r.name == "asr_diarization.server"]
        line = server.JsonLines().format(record)
        fields = json.loads(line)
        assert fields["request_id"] == "abc-1"
        assert fields["status"] == 200
        assert fields["audio_seconds"] == 4
        assert fields["speakers"] == 2
        assert {"seconds", "waited_seconds", "rtfx", "stages"} <= set(fields)
        assert "\n" not in line
        for secret in ("confidential", "hidden", "Quite"):
            assert secret not in line

    def test_request_ids(self, client):
        for given, kept in (("mine-1.2", True), ("two words", False), ("x" * 65, False)):
            back = client.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"]
            assert (back == given) is kept
            assert len(back) >= 8

    def test_a_page_is_served_when_it_is_there(self, tmp_path, monkeypatch):
        (tmp_path / "index.html").write_text("<p>hello")
        monkeypatch.setattr(server, "UI_DIRECTORY", tmp_path)
        answer = client_of(api_keys="k").get("/ui/")
        assert answer.text == "<p>hello"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; connect-src 'self';" in policy
        assert "unsafe" not in policy

    def test_the_page_is_told_what_it_may_offer(self):
        asked = client_of(api_keys="k", assistant_model="small").get("/ui/settings.json").json()
        assert asked == {"api_key": True, "assistant": True, "diarization": True}
        asked = client_of().get("/ui/settings.json").json()
        assert asked == {"api_key": False, "assistant": False, "diarization": True}


class TestSecurity:
    @pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer no"}, {"Authorization": "k1"},
                                        {"Authorization": "Basic k1"}])  # fmt: skip
    def test_keys_are_asked_for(self, header):
        client = client_of(api_keys="k1, k2")
        for method, path in (
            ("POST", "/predict"),
            ("POST", "/"),
            ("POST", "/v1/audio/transcriptions"),
            ("GET", "/v1/models"),
            ("GET", "/metrics"),
            ("GET", "/nothing"),
        ):
            answer = client.request(method, path, headers=header)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert ("message" in answer.text) == path.startswith("/v1/")

    def test_keys_open(self):
        client = client_of(api_keys="k1, k2")
        for header in ("Bearer k1", "bearer k2"):
            given = {"Authorization": header}
            assert client.post("/predict", content=AUDIO, headers=given).status_code == 200

    def test_health_needs_no_key(self):
        client = client_of(api_keys="k1")
        for path in ("/", "/health", "/ready", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
        assert client.get("/healthy").status_code == 401

    def test_keys_are_not_shown(self):
        assert "k1" not in repr(ServerSettings(api_keys="k1"))

    def test_headers(self, client):
        answer = client.get("/health")
        for name in ("x-content-type-options", "content-security-policy", "referrer-policy"):
            assert answer.headers[name]
        assert "server" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"

    def test_other_origins_only_when_named(self, client):
        origin = {"Origin": "https://a.example"}
        assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
        allowed = client_of(cors_origins="https://a.example", api_keys="k")
        answer = allowed.options(
            "/predict",
            headers={
                **origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://a.example"

    def test_other_hosts_only_when_named(self):
        client = client_of(trusted_hosts="asr.example, testserver")
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400


class TestSettings:
    def test_come_from_the_environment(self, monkeypatch):
        for name, value in {
            "API_KEYS": "a,b",
            "MAX_QUEUE": "3",
            "TRUSTED_HOSTS": "",
            "CORS_ORIGINS": "https://x.example",
            "ASR_MODEL": "m",
            "PORT": "81",
        }.items():
            monkeypatch.setenv(name, value)
        settings = ServerSettings()
        assert [key.get_secret_value() for key in settings.api_keys] == ["a", "b"]
        assert (settings.max_queue, settings.port, settings.asr_model) == (3, 81, "m")
        assert settings.cors_origins == ("https://x.example",)
        assert settings.trusted_hosts == ()

    def test_are_all_documented(self):
        page = (Path(server.__file__).parent.parent / "docs" / "server.md").read_text()
        for name, field in ServerSettings.model_fields.items():
            if name not in ModelSettings.model_fields:
                assert f"| `{name.upper()}` | {_shown(field.default)} |" in page

    def test_nonsense_is_refused(self):
        with pytest.raises(ValidationError):
            ServerSettings(port=-1)


class TestCommand:
    def test_options_and_environment(self, monkeypatch):
        served = []
        monkeypatch.setattr(server, "serve", served.append)
        monkeypatch.setenv("PORT", "81")
        assert cli.main(["serve", "--host", "0.0.0.0"]) == 0
        assert cli.main(["serve", "--port", "82"]) == 0
        assert [(s.host, s.port) for s in served] == [("0.0.0.0", 81), ("127.0.0.1", 82)]

    def test_a_model_that_does_not_load_is_one_sentence(self, monkeypatch, capsys):
        def refuse(settings):
            raise ModelLoadError("cannot load x:\nit is not there")

        monkeypatch.setattr(server, "load_pipeline", refuse)
        assert cli.main(["serve"]) == 1
        assert capsys.readouterr().err == "error: cannot load x: it is not there\n"

    def test_a_bad_setting_names_its_variable(self, monkeypatch, capsys):
        monkeypatch.setenv("MAX_QUEUE", "many")
        assert cli.main(["serve"]) == 2
        assert "MAX_QUEUE" in capsys.readouterr().err
