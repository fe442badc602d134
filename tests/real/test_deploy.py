"""`deploy`, by the real client of either generation, against the hosts' API on loopback."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import pytest_socket
from loopback_endpoints import LoopbackEndpoints
from loopback_hub import TOKEN, Repository, asking, listening

from asr_diarization import cli, deploy
from asr_diarization.deploy_files import files_of_endpoint
from asr_diarization.deploy_presets import PRESETS

REPO = Path(__file__).parents[2]
OWN_ENV = "env" in inspect.signature(huggingface_hub.HfApi.create_inference_endpoint).parameters
"""huggingface_hub 0.30 has no `env`: variables travel as secrets there."""
HAS_HARDWARE = hasattr(huggingface_hub.HfApi, "list_inference_endpoints_hardware")
BALANCED = {
    "HF_MODEL_DIR": "/repository",
    "HF_TASK": "custom",
    "ASR_MODEL": "openai/whisper-large-v3-turbo",
    "DIARIZATION_MODEL": "pyannote/speaker-diarization-3.1",
}


@pytest.fixture
def host(monkeypatch):
    """The hub and the host of endpoints; whoever asks has a token."""
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])
    host = LoopbackEndpoints()
    with listening(host) as url, asking(url, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(deploy.time, "sleep", lambda _: None)
        yield host


@pytest.fixture
def run(host, capsys):
    """`deploy ...`: exit code, what it printed, what it remarked."""

    def run(line: str):
        code = cli.main(["deploy", *line.split()])
        shown = capsys.readouterr()
        assert TOKEN not in shown.out + shown.err
        return code, shown.out, shown.err

    return run


@pytest.fixture
def made(run, host):
    """An endpoint, and what was asked to make it."""
    assert run("create calls --repository somebody/asr")[0] == 0
    (asked,) = asked_of(host, "POST")
    return asked


def asked_of(host, *methods):
    """(path, body) of requests to the API of endpoints."""
    return [
        (request.path, request.json if request.body else None)
        for request in host.requests
        if request.path.startswith("/v2/endpoint") and request.method in methods
    ]


def surroundings(model):
    """Variables, and secrets that are none of them."""
    secrets = dict(model.get("secrets") or {})
    return model.get("env") or {
        n: secrets.pop(n) for n in list(secrets) if n != "HF_TOKEN"
    }, secrets


class TestCreate:
    def test_the_request(self, made):
        path, body = made
        assert path == "/v2/endpoint/somebody"
        assert body["name"] == "calls"
        assert body["type"] == "authenticated"
        assert body["provider"] == {"region": "us-east-1", "vendor": "aws"}
        scaling = {"maxReplica": 1, "minReplica": 0, "scaleToZeroTimeout": 15}
        assert body["compute"] == {
            "accelerator": "gpu", "instanceSize": "x1", "instanceType": "nvidia-t4",
            "scaling": scaling,
        }  # fmt: skip
        model = body["model"]
        assert (model["framework"], model["task"]) == ("pytorch", "custom")
        assert model["repository"] == "somebody/asr"
        assert model["image"] == {"huggingface": {}}
        variables, secrets = surroundings(model)
        assert variables == BALANCED
        assert secrets == {"HF_TOKEN": TOKEN}

    @pytest.mark.skipif(not OWN_ENV, reason="this client knows only secrets")
    def test_the_token_is_a_secret_and_nothing_else_is(self, made):
        _, body = made
        assert set(body["model"]["secrets"]) == {"HF_TOKEN"}
        assert TOKEN not in json.dumps(body["model"]["env"])

    def test_a_token_of_its_own_for_the_endpoint(self, run, host, monkeypatch):
        monkeypatch.setenv("ENDPOINT_HF_TOKEN", "hf_read_only")
        run("create calls --repository somebody/asr")
        ((_, body),) = asked_of(host, "POST")
        assert surroundings(body["model"])[1] == {"HF_TOKEN": "hf_read_only"}

    def test_every_option(self, run, host, monkeypatch):
        monkeypatch.setenv("API_KEYS", "k1")
        code, *_ = run(
            "create calls --repository somebody/asr --revision abc --preset large "
            "--namespace ours --asr-model openai/whisper-medium --assistant-model= "
            "--diarization-model= --min-replica 1 --max-replica 3 --type public "
            "--env MAX_AUDIO_SECONDS=600 --secret API_KEYS"
        )
        assert code == 0
        ((path, body),) = asked_of(host, "POST")
        assert path == "/v2/endpoint/ours"
        assert body["type"] == "public"
        assert body["model"]["revision"] == "abc"
        assert body["compute"]["instanceType"] == "nvidia-l4"
        scaling = body["compute"]["scaling"]
        assert (scaling["minReplica"], scaling["maxReplica"]) == (1, 3)
        variables = {**body["model"].get("env", {}), **body["model"]["secrets"]}
        assert variables == {
            "HF_MODEL_DIR": "/repository", "HF_TASK": "custom", "HF_TOKEN": TOKEN,
            "ASR_MODEL": "openai/whisper-medium", "MAX_AUDIO_SECONDS": "600", "API_KEYS": "k1",
        }  # fmt: skip

    def test_our_own_image(self, run, host):
        image = "registry.example.org/asr:cuda"
        run(f"create calls --repository somebody/asr --image {image}")
        ((_, body),) = asked_of(host, "POST")
        assert body["model"]["framework"] == "custom"
        assert body["model"]["image"] == {
            "custom": {"url": image, "healthRoute": "/health", "port": 8000}
        }
        variables, _ = surroundings(body["model"])
        assert variables["DIARIZATION_MODEL"] == "pyannote/speaker-diarization-community-1"
        assert "HF_MODEL_DIR" not in variables

    def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(self, run, host, made):
        host.requests.clear()
        code, out, _ = run("create calls --repository somebody/asr --dry-run")
        assert code == 0
        assert host.requests == []
        expected = json.loads(json.dumps(made[1]).replace(TOKEN, "***"))
        assert json.loads(out) == expected

    @pytest.mark.parametrize("preset", PRESETS)
    def test_presets_fit_on_their_instances(self, run, preset):
        code, _, err = run(f"create calls --repository somebody/asr --preset {preset}")
        assert code == 0
        assert "memory: about" in err

    def test_models_that_do_not_fit(self, run, host):
        code, _, err = run(
            "create calls --repository somebody/asr --preset cheap "
            "--asr-model openai/whisper-large-v3"
        )
        assert code == 2
        assert "GB (computed) and intel-spr x4 has 8 GB" in err
        assert asked_of(host, "POST") == []

    @pytest.mark.skipif(not HAS_HARDWARE, reason="this client cannot list hardware")
    @pytest.mark.parametrize("instance", ["nvidia-x99", "nvidia-a10g"])
    def test_an_instance_that_cannot_be_had(self, run, host, instance):
        code, _, err = run(f"create calls --repository somebody/asr --instance-type {instance}")
        assert code == 2
        assert f"{instance} x1 cannot be had" in err
        assert "there are nvidia-l4 x1, nvidia-t4 x1" in err
        assert asked_of(host, "POST") == []

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("--env HF_TOKEN=x", "use --secret HF_TOKEN"),
            ("--env MAX_AUDIO_SECONDS", "write it as NAME=VALUE"),
            ("--secret NOBODY_SET_THIS", "is not set here"),
        ],
    )
    def test_variables_that_are_refused(self, run, host, options, complaint):
        code, _, err = run(f"create calls --repository somebody/asr {options}")
        assert code == 2
        assert complaint in err
        assert host.requests == []

    @pytest.mark.parametrize(
        ("status", "advice"),
        [(402, "settings/billing"), (403, "write access"), (409, "deploy update"), (418, "418")],
    )
    def test_a_refusal_is_one_sentence(self, run, host, status, advice):
        host.refusal = (status, "no")
        code, _, err = run("create calls --repository somebody/asr")
        assert code == 2
        assert advice in err.splitlines()[-1]

    def test_no_token(self, run, host, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
        code, _, err = run("create calls --repository somebody/asr")
        assert code == 2
        assert "token is missing or not valid" in err

    def test_nobody_there(self, run, monkeypatch):
        monkeypatch.setattr(
            huggingface_hub.constants, "INFERENCE_ENDPOINTS_ENDPOINT", "http://127.0.0.1:9/v2"
        )
        code, _, err = run("status calls --namespace ours")
        assert code == 2
        assert "cannot be reached" in err


class TestLife:
    def test_waiting_tells_what_happens(self, run, host, made):
        host.states = [("pending", ""), ("initializing", "pulling the image"), ("running", "")]
        code, out, err = run("wait calls")
        assert code == 0
        told = [line.split(" s  ")[1] for line in err.splitlines()]
        assert told == ["pending", "initializing: pulling the image", "running"]
        assert out == f"calls: running, {host.url}/running/calls\n"

    def test_waiting_for_one_that_fails(self, run, host, made):
        host.states = [("failed", "Exit code: 3")]
        code, _, err = run("wait calls")
        assert code == 2
        assert "calls failed: Exit code: 3; see deploy logs" in err

    def test_waiting_has_an_end(self, run, host, made):
        host.states = [("initializing", "")] * 99
        code, _, err = run("wait calls --timeout 0")
        assert code == 2
        assert "calls is initializing after 0 s" in err

    def test_testing_shows_who_said_what(self, run, host, made):
        code, out, err = run("test calls")
        assert (code, err) == (0, "")
        assert out == "[00:06.5 SPEAKER_01] Hello.\n[01:08.3 SPEAKER_00] Oh, hello.\n"
        asked = host.requests[-1]
        assert asked.headers["x-scale-up-timeout"] == "600"
        assert asked.json["parameters"] == {"diarize": True}

    @pytest.mark.parametrize(
        ("said", "complaint"),
        [({"speakers": []}, "without speakers"), ({"text": ""}, "without a word")],
    )
    def test_testing_finds_what_is_missing(self, run, host, made, said, complaint):
        host.said.update(said)
        code, _, err = run("test calls")
        assert code == 2
        assert complaint in err

    def test_testing_with_a_recording_that_is_not_there(self, run, made):
        code, _, err = run("test calls --audio missing.wav")
        assert code == 2
        assert "missing.wav is not there" in err

    def test_testing_words_only(self, run, host, made):
        host.said["speakers"] = []
        assert run("test calls --no-speakers")[:2] == (0, "Hello. Oh, hello.\n")

    def test_testing_one_without_an_address(self, run, host, made):
        host.states = []
        code, _, err = run("test calls")
        assert code == 2
        assert "is pending and has no address yet" in err

    def test_pause_and_resume(self, run, host, made):
        host.states = []
        assert run("pause calls")[1].startswith("calls: paused")
        assert run("resume calls")[1].startswith("calls: initializing")
        paths = [path for path, _ in asked_of(host, "POST")]
        base = "/v2/endpoint/somebody/calls"
        assert paths[1:] == [f"{base}/pause", f"{base}/resume"]

    def test_logs(self, run, made):
        assert run("logs calls --tail 2")[1] == "second line\nlast line\n"

    def test_status_of_nothing(self, run, host):
        code, _, err = run("status nothing")
        assert code == 2
        assert "no such endpoint" in err

    def test_delete_asks(self, run, host, made, monkeypatch):
        host.states = []
        monkeypatch.setattr("builtins.input", lambda _: "no")
        assert run("delete calls")[0] == 2
        assert "calls" in host.endpoints
        monkeypatch.setattr("builtins.input", lambda _: "calls")
        assert run("delete calls")[0] == 0
        assert host.endpoints == {}

    def test_delete_without_asking(self, run, host, made):
        host.states = []
        assert run("delete calls --yes") == (0, "calls: deleted\n", "")
        assert host.endpoints == {}


class TestUpdate:
    def test_only_what_is_named(self, run, host, made):
        host.states = []
        assert run("update calls --max-replica 4")[0] == 0
        ((path, body),) = asked_of(host, "PUT")
        assert path == "/v2/endpoint/somebody/calls"
        assert body == {"compute": {"scaling": {"maxReplica": 4}}}

    def test_other_models(self, run, host, made):
        host.states = []
        assert run("update calls --asr-model openai/whisper-medium")[0] == 0
        ((_, body),) = asked_of(host, "PUT")
        variables, secrets = surroundings(body["model"])
        assert variables["ASR_MODEL"] == "openai/whisper-medium"
        assert secrets == {"HF_TOKEN": TOKEN}
        assert set(body) == {"model"}

    def test_variables_that_are_not_named_stay(self, run, host, made):
        before, _ = surroundings(host.endpoints["calls"]["model"])
        host.states = []
        assert run("update calls --env MAX_AUDIO_SECONDS=600")[0] == 0
        ((_, body),) = asked_of(host, "PUT")
        variables, _ = surroundings(body["model"])
        assert variables["MAX_AUDIO_SECONDS"] == "600"
        if "env" in body["model"]:  # huggingface_hub 0.30 can neither read nor send them
            assert variables == {**before, "MAX_AUDIO_SECONDS": "600"}
            assert "DIARIZATION_MODEL" in variables

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "nothing to change"),
            ("--diarization-model a/b", "name the --asr-model, too"),
            ("--instance-type nvidia-l4", "an instance is named by all of"),
        ],
    )
    def test_what_cannot_be_done(self, run, host, made, options, complaint):
        code, _, err = run(f"update calls {options}")
        assert code == 2
        assert complaint in err
        assert asked_of(host, "PUT") == []


class TestPush:
    def test_just_what_an_endpoint_needs(self, run, host):
        host.repositories["somebody/asr"] = Repository(
            {"asr_diarization/gone.py": b"old", "notes.txt": b"mine"}
        )
        code, out, _ = run("push somebody/asr")
        assert code == 0
        assert out.strip() == f"{host.url}/somebody/asr"
        held = host.repositories["somebody/asr"].files
        assert set(held) == {*files_of_endpoint(), "notes.txt"}
        assert held["handler.py"] == (REPO / "handler.py").read_bytes()
        assert b"new?repository=somebody/asr&" in held["README.md"]
        (create,) = [r for r in host.requests if r.path == "/api/repos/create"]
        assert create.json.get("visibility", create.json.get("private")) in ("private", True)

    def test_a_second_push_is_no_fault(self, run, host):
        assert run("push somebody/asr --public")[0] == run("push somebody/asr")[0] == 0

    def test_the_handler_runs_from_what_is_pushed(self, tmp_path, local_models):
        for name in files_of_endpoint():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((REPO / name).read_bytes())
        assert not (tmp_path / "asr_diarization" / "server.py").exists()
        code = """
import pathlib, sys
sys.path.insert(0, '.')
from handler import EndpointHandler
print(EndpointHandler('.')({'inputs': pathlib.Path(sys.argv[1]).read_bytes()})['text'])
"""
        sample = REPO / "tests" / "data" / "formats" / "sample1.flac"
        done = subprocess.run(
            [sys.executable, "-c", code, str(sample)], cwd=tmp_path, check=False,
            env={**local_models, "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert "going along slushy" in done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["", "create", "push", "delete"])
def test_help_teaches(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["deploy", *verb.split(), "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    if not verb:
        assert "deploy wait NAME" in text
    if verb == "create":
        assert all(name in text for name in PRESETS)
