"""`deploy create`, by the real client of either generation: what is sent, and what is refused."""

from __future__ import annotations

import json

import huggingface_hub
import pytest

from asr_diarization.cli.main import main
from asr_diarization.deploy.presets import PRESETS
from tests.support.loopback_deploy import HAS_HARDWARE, OWN_ENV, asked_of, environment_of
from tests.support.loopback_hub import TOKEN

BALANCED = {
    "HF_MODEL_DIR": "/repository",
    "HF_TASK": "custom",
    "ASR_MODEL": "openai/whisper-large-v3-turbo",
    "DIARIZATION_MODEL": "pyannote/speaker-diarization-3.1",
}


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
        variables, secrets = environment_of(model)
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
        assert environment_of(body["model"])[1] == {"HF_TOKEN": "hf_read_only"}

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
        variables, _ = environment_of(body["model"])
        assert variables["DIARIZATION_MODEL"] == "pyannote/speaker-diarization-community-1"
        assert "HF_MODEL_DIR" not in variables

    def test_a_dry_run_prints_the_arguments_of_the_client_and_sends_nothing(self, run, host, made):
        host.requests.clear()
        code, out, _ = run("create calls --repository somebody/asr --dry-run")
        assert code == 0
        assert host.requests == []
        huggingface_hub.HfApi().create_inference_endpoint(**json.loads(out))
        ((path, body),) = asked_of(host, "POST")
        expected = json.loads(json.dumps(made[1]).replace(TOKEN, "***"))
        assert (path, body) == (made[0], expected)

    def test_a_dry_run_masks_every_secret(self, run, monkeypatch):
        monkeypatch.setenv("API_KEYS", "a-secret-key")
        _, out, _ = run("create calls --repository somebody/asr --secret API_KEYS --dry-run")
        secrets = json.loads(out)["secrets"]
        assert (secrets["API_KEYS"], secrets["HF_TOKEN"]) == ("***", "***")
        assert "a-secret-key" not in out

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

    def test_a_dry_run_warns_of_models_that_do_not_fit(self, run, host):
        code, out, err = run(
            "create calls --repository somebody/asr --preset cheap --dry-run "
            "--asr-model openai/whisper-large-v3"
        )
        assert code == 0
        assert json.loads(out)["instance_type"] == "intel-spr"
        assert "warning: the models need about" in err

    @pytest.mark.skipif(not HAS_HARDWARE, reason="this client cannot list hardware")
    @pytest.mark.parametrize("instance", ["nvidia-x99", "nvidia-a10g"])
    def test_an_instance_that_cannot_be_had(self, run, host, instance):
        code, _, err = run(f"create calls --repository somebody/asr --instance-type {instance}")
        assert code == 2
        assert f"{instance} x1 is not available at" in err
        assert "available: nvidia-l4 x1, nvidia-t4 x1" in err
        assert asked_of(host, "POST") == []

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("--env HF_TOKEN=x", "use --secret HF_TOKEN"),
            ("--env hf_token=hf_abc --dry-run", "use --secret hf_token"),
            ("--env DATABASE_PASSWORD=x", "use --secret DATABASE_PASSWORD"),
            ("--env client_secret=x", "use --secret client_secret"),
            ("--env WHATEVER=hf_abc", "use --secret WHATEVER"),
            ("--env MAX_AUDIO_SECONDS", "write it as NAME=VALUE"),
            ("--secret NOBODY_SET_THIS", "is not set here"),
        ],
    )
    def test_variables_that_are_refused(self, run, host, options, complaint):
        code, _, err = run(f"create calls --repository somebody/asr {options}")
        assert code == 2
        assert complaint in err
        assert "hf_abc" not in err
        assert host.requests == []

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (
                "--preset large --assistant-model openai/whisper-tiny",
                "vocabulary 51865 against 51866",
            ),
            (
                "--asr-model openai/whisper-small --assistant-model openai/whisper-tiny.en",
                "vocabulary 51864 against 51865",
            ),
            (
                "--diarization-model pyannote/speaker-diarization-community-1",
                "take --diarization-model pyannote/speaker-diarization-3.1",
            ),
            ("--min-replica 3 --max-replica 1", "3 to 1 replicas is not a valid range"),
            ("--max-replica 0", "0 to 0 replicas is not a valid range"),
        ],
    )
    def test_what_could_not_start_is_refused_before_it_costs(self, run, host, options, complaint):
        code, _, err = run(f"create calls --repository somebody/asr {options}")
        assert code == 2
        assert complaint in err
        assert asked_of(host, "POST") == []
        code, out, err = run(f"create calls --repository somebody/asr {options} --dry-run")
        assert code == 0
        assert json.loads(out)["name"] == "calls"
        assert "warning: " in err
        assert complaint in err

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


@pytest.mark.parametrize("verb", ["", "create", "push", "delete"])
def test_help_teaches(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["deploy", *verb.split(), "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    if not verb:
        assert "deploy wait NAME" in text
    if verb == "create":
        assert all(name in text for name in PRESETS)
