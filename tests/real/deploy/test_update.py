"""`deploy update`: what is named changes, and nothing else is lost."""

from __future__ import annotations

import pytest

from tests.support.loopback_deploy import HAS_HARDWARE, OWN_ENV, asked_of, environment_of
from tests.support.loopback_hub import TOKEN


class TestUpdate:
    def test_only_what_is_named(self, run, host, made):
        host.states = []
        assert run("update calls --max-replica 4")[0] == 0
        ((path, body),) = asked_of(host, "PUT")
        assert path == "/v2/endpoint/somebody/calls"
        assert body == {"compute": {"scaling": {"maxReplica": 4}}}

    def test_another_model(self, run, host, made):
        host.states = []
        if not OWN_ENV:
            code, _, err = run("update calls --asr-model openai/whisper-medium")
            assert code == 2
            assert "DIARIZATION_MODEL would be lost" in err
            return
        assert run("update calls --asr-model openai/whisper-medium")[0] == 0
        ((_, body),) = asked_of(host, "PUT")
        before = made[1]["model"]["env"]
        assert body == {"model": {"env": {**before, "ASR_MODEL": "openai/whisper-medium"}}}

    def test_a_preset_takes_away_what_it_does_not_have(self, run, host):
        run("create calls --repository somebody/asr --preset large")
        assert "ASSISTANT_MODEL" in environment_of(host.endpoints["calls"]["model"])[0]
        host.states = []
        code, _, err = run("update calls --preset cheap")
        assert code == 0
        assert "memory: about" in err
        variables, secrets = environment_of(host.endpoints["calls"]["model"])
        assert variables == {
            "HF_MODEL_DIR": "/repository",
            "HF_TASK": "custom",
            "ASR_MODEL": "openai/whisper-small",
            "DIARIZATION_MODEL": "pyannote/speaker-diarization-3.1",
        }
        assert secrets == {"HF_TOKEN": TOKEN}

    @pytest.mark.skipif(not OWN_ENV, reason="this client knows only secrets")
    def test_an_assistant_is_taken_away(self, run, host):
        run("create calls --repository somebody/asr --preset large")
        host.states = []
        assert run("update calls --assistant-model=")[0] == 0
        variables, secrets = environment_of(host.endpoints["calls"]["model"])
        assert set(variables) == {"HF_MODEL_DIR", "HF_TASK", "ASR_MODEL", "DIARIZATION_MODEL"}
        assert secrets == {"HF_TOKEN": TOKEN}

    def test_variables_that_are_not_named_stay(self, run, host, made):
        before, _ = environment_of(host.endpoints["calls"]["model"])
        host.states = []
        models = "--asr-model openai/whisper-small --diarization-model a/b --assistant-model="
        line = f"update calls --env MAX_AUDIO_SECONDS=600 {'' if OWN_ENV else models}"
        code, _, err = run(line)
        assert code == 0, err
        after, secrets = environment_of(host.endpoints["calls"]["model"])
        assert after["MAX_AUDIO_SECONDS"] == "600"
        assert after["HF_MODEL_DIR"] == "/repository"
        assert secrets == {"HF_TOKEN": TOKEN}
        if OWN_ENV:
            assert after == {**before, "MAX_AUDIO_SECONDS": "600"}

    @pytest.mark.skipif(not OWN_ENV, reason="this client knows only secrets")
    def test_an_endpoint_that_an_older_client_has_made(self, run, host, made):
        model = host.endpoints["calls"]["model"]
        model["secrets"] = {**model.pop("env"), **model["secrets"]}
        host.states = []
        code, _, err = run("update calls --asr-model openai/whisper-small")
        assert code == 2
        assert "DIARIZATION_MODEL would be lost" in err
        assert run("update calls --preset cheap")[0] == 0
        assert set(model["secrets"]) == {"HF_MODEL_DIR", "HF_TASK", "HF_TOKEN"}
        assert model["env"]["ASR_MODEL"] == "openai/whisper-small"

    @pytest.mark.skipif(OWN_ENV, reason="this client knows variables")
    def test_an_endpoint_that_a_newer_client_has_made(self, run, host, made):
        host.endpoints["calls"]["model"]["env"] = {"ASR_MODEL": "a/b"}
        host.states = []
        code, _, err = run("update calls --preset cheap")
        assert code == 2
        assert "pip install -U huggingface_hub" in err

    def test_a_larger_instance_is_judged_where_the_endpoint_is(self, run, host, made):
        host.endpoints["calls"]["provider"]["region"] = "eu-west-1"
        host.states = []
        code, _, err = run("update calls --preset large")
        if HAS_HARDWARE:
            assert code == 2
            assert "nvidia-l4 x1 is not available at aws eu-west-1 gpu" in err
            assert asked_of(host, "PUT") == []
        else:
            assert code == 0

    @pytest.mark.parametrize(
        ("models", "complaint"),
        [
            ("--asr-model openai/whisper-large-v3", "GB (computed) and intel-spr x4 has 8 GB"),
            ("--assistant-model openai/whisper-tiny.en", "vocabulary 51864 against 51865"),
            (
                "--diarization-model pyannote/speaker-diarization-community-1",
                "needs pyannote.audio 4",
            ),
        ],
    )
    def test_models_that_would_not_start(self, run, host, models, complaint):
        run("create calls --repository somebody/asr --preset cheap")
        host.states = []
        given = "--asr-model openai/whisper-small --diarization-model a/b "
        code, _, err = run(f"update calls {'' if OWN_ENV else given}{models}")
        assert code == 2
        assert complaint in err
        assert asked_of(host, "PUT") == []

    def test_replicas_against_those_that_are_there(self, run, host, made):
        host.states = []
        code, _, err = run("update calls --min-replica 3")
        assert code == 2
        assert "3 to 1 replicas is not a valid range" in err


class TestSecrets:
    @pytest.fixture
    def guarded(self, run, host, monkeypatch):
        """An endpoint with a secret of its own, whose value is here."""
        monkeypatch.setenv("API_KEYS", "k1")
        run("create calls --repository somebody/asr --secret API_KEYS")
        host.states = []
        return host.endpoints["calls"]["model"]

    def test_models_change_and_secrets_stay(self, run, guarded):
        line = f"update calls --preset cheap {'' if OWN_ENV else '--secret API_KEYS'}"
        code, _, err = run(line)
        assert code == 0, err
        assert guarded["secrets"].items() >= {"HF_TOKEN": TOKEN, "API_KEYS": "k1"}.items()

    def test_a_new_value_and_the_token_stays(self, run, guarded, monkeypatch):
        monkeypatch.setenv("API_KEYS", "k2")
        line = f"update calls --secret API_KEYS {'' if OWN_ENV else '--preset balanced'}"
        code, _, err = run(line)
        assert code == 0, err
        assert guarded["secrets"].items() >= {"HF_TOKEN": TOKEN, "API_KEYS": "k2"}.items()

    def test_nothing_is_lost_in_silence(self, run, host, guarded, monkeypatch):
        monkeypatch.setenv("OTHER", "x")
        preset = "" if OWN_ENV else "--preset balanced"
        code, _, err = run(f"update calls --secret OTHER {preset}")
        assert code == 2
        assert "API_KEYS would be lost, since the host does not tell the values" in err
        assert "--secret NAME" in err
        assert asked_of(host, "PUT") == []

    def test_one_is_taken_away_on_purpose(self, run, guarded):
        line = f"update calls --env API_KEYS= {'' if OWN_ENV else '--preset balanced'}"
        code, _, err = run(line)
        assert code == 0, err
        assert "API_KEYS" not in guarded["secrets"]
        assert guarded["secrets"]["HF_TOKEN"] == TOKEN


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ("", "nothing to change"),
            ("--instance-type nvidia-l4", "an instance is named by all of"),
        ],
    )
    def test_what_cannot_be_done(self, run, host, made, options, complaint):
        code, _, err = run(f"update calls {options}")
        assert code == 2
        assert complaint in err
        assert asked_of(host, "PUT") == []
