"""Door 2 for who runs it: health, metrics, log, keys, settings, the command."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from pydantic import ValidationError
from starlette.testclient import TestClient

from asr_diarization.cli.main import main
from asr_diarization.config import ModelSettings, read_settings
from asr_diarization.errors import ModelLoadError
from asr_diarization.server import app
from asr_diarization.server.listening import is_for_this_machine
from asr_diarization.server.settings import ServerSettings
from asr_diarization.transcript import Transcript
from tests.support.asgi import AUDIO, SAID, TURNS, Gated, client_of, scripted


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    for name in ServerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def client():
    return client_of()


def _shown(default) -> str:
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default else "none"


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
        line = app.JsonLines().format(record)
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
        monkeypatch.setattr(app, "UI_DIRECTORY", tmp_path)
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


class TestThisMachine:
    """A server without keys on a loopback address, as `serve` starts it by default."""

    @staticmethod
    def client(**settings):
        settings = ServerSettings(diarization_model="scripted", **settings)
        made = app.create_app(settings, scripted(), this_machine_only=is_for_this_machine(settings))
        return TestClient(made, raise_server_exceptions=False)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "localhost:8000"}, 200),
            ({"Host": "LOCALHOST"}, 200),
            ({"Host": "127.0.0.1:8000"}, 200),
            ({"Host": "127.9.9.9"}, 200),
            ({"Host": "[::1]:8000"}, 200),
            ({"Host": "evil.example:8000"}, 403),
            ({"Host": "127.0.0.1.evil.example"}, 403),
            ({"Host": "localhost.evil.example"}, 403),
            ({"Host": "user@localhost:80@evil.example"}, 403),
            ({"Host": "10.0.0.1"}, 403),
            ({"Host": "[::1"}, 403),
            ({"Host": ""}, 403),
            ({"Host": "localhost", "Origin": "http://localhost:8000"}, 200),
            ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
            ({"Host": "localhost", "Origin": "null"}, 403),
        ],
    )
    def test_only_its_names_and_pages_are_answered(self, headers, status):
        for path in ("/predict", "/v1/models"):
            method = "POST" if path == "/predict" else "GET"
            answer = self.client().request(method, path, content=AUDIO, headers=headers)
            assert answer.status_code == status
            assert ("error" in answer.json()) == (status == 403)

    @pytest.mark.parametrize(
        "settings",
        [
            {"trusted_hosts": "*"},
            {"trusted_hosts": "asr.example"},
            {"api_keys": "k"},
            {"host": "0.0.0.0"},
            {"host": "::"},
        ],
    )
    def test_unless_it_is_told_otherwise(self, settings):
        headers = {"Host": "asr.example", "Authorization": "Bearer k"}
        answer = self.client(**settings).post("/predict", content=AUDIO, headers=headers)
        assert answer.status_code == 200

    def test_pages_that_are_named_may_call(self):
        client = self.client(cors_origins="https://a.example")
        for origin, status in (("https://a.example", 200), ("https://b.example", 403)):
            headers = {"Host": "localhost", "Origin": origin}
            assert client.post("/predict", content=AUDIO, headers=headers).status_code == status


def test_a_long_name_of_a_model_is_not_sent_back(client):
    answer = client.get("/v1/models/" + "x" * 20_000)
    assert answer.status_code == 404
    assert len(answer.content) < 500


def test_warnings_of_python_are_lines_of_json(capsys, monkeypatch):
    def warn(settings):
        warnings.warn("old\nthing", DeprecationWarning, stacklevel=1)
        raise ModelLoadError("enough")

    monkeypatch.setattr(app, "load_pipeline", warn)
    monkeypatch.setattr(app, "bind", lambda *_: [])
    monkeypatch.setattr(logging.root, "handlers", [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(ModelLoadError):
            app.serve(ServerSettings())
    logging.captureWarnings(capture=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "py.warnings"
    assert "old\nthing" in json.loads(line)["message"]


class TestSettings:
    @pytest.mark.parametrize("key", ["schlüssel", "two words", "a\tb", "k\u200b"])
    def test_keys_that_cannot_be_sent_are_refused(self, monkeypatch, key):
        monkeypatch.setenv("API_KEYS", f"good, {key}")
        with pytest.raises(ModelLoadError, match="API_KEYS must be visible ASCII") as caught:
            read_settings(ServerSettings)
        assert key not in str(caught.value)

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
        page = (Path(app.__file__).parents[2] / "docs" / "server.md").read_text()
        for name, field in ServerSettings.model_fields.items():
            if name not in ModelSettings.model_fields:
                assert f"| `{name.upper()}` | {_shown(field.default)} |" in page

    def test_nonsense_is_refused(self):
        with pytest.raises(ValidationError):
            ServerSettings(port=-1)


class TestCommand:
    def test_options_and_environment(self, monkeypatch):
        served = []
        monkeypatch.setattr(app, "serve", served.append)
        monkeypatch.setenv("PORT", "81")
        assert main(["serve", "--host", "0.0.0.0"]) == 0
        assert main(["serve", "--port", "82"]) == 0
        assert [(s.host, s.port) for s in served] == [("0.0.0.0", 81), ("127.0.0.1", 82)]

    def test_a_model_that_does_not_load_is_one_sentence(self, monkeypatch, capsys):
        def refuse(settings):
            raise ModelLoadError("cannot load x:\nit is not there")

        monkeypatch.setattr(app, "load_pipeline", refuse)
        monkeypatch.setattr(app, "bind", lambda *_: [])
        assert main(["serve"]) == 1
        assert capsys.readouterr().err == "error: cannot load x: it is not there\n"

    def test_a_bad_setting_names_its_variable(self, monkeypatch, capsys):
        monkeypatch.setenv("MAX_QUEUE", "many")
        assert main(["serve"]) == 2
        assert "MAX_QUEUE" in capsys.readouterr().err
