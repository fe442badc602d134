"""Problems with the hub, found by the real client on a hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import huggingface_hub
import pytest
import pytest_socket

from asr_diarization.assembly import load_pipeline
from asr_diarization.config import ModelSettings
from asr_diarization.doctor import machine
from asr_diarization.doctor.examine import examine
from asr_diarization.doctor.findings import bad, problems
from asr_diarization.errors import ModelLoadError
from tests.support.loopback_hub import TOKEN, LoopbackHub, Repository, asking, listening
from tests.support.paths import REPO

PIPELINE, SEGMENTATION, EMBEDDING = "voices/pipeline", "voices/segmentation", "voices/embedding"
WHISPER = "speech/whisper"


@pytest.fixture
def hub(monkeypatch, tmp_path, models_dir):
    """A public Whisper, and a gated pipeline that names two gated models."""
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])
    whisper = models_dir / "whisper-base"
    files = {n: (whisper / n).read_bytes() for n in ("config.json", "generation_config.json")}
    config = f"""
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    segmentation: {SEGMENTATION}
    embedding: {{checkpoint: {EMBEDDING}, subfolder: x}}
    plda: $model/plda
"""
    hub = LoopbackHub(
        {
            WHISPER: Repository(files, sizes={"model.safetensors": 10**6}, parameters=72_000_000),
            PIPELINE: Repository({"config.yaml": config.encode()}, gated=True),
            SEGMENTATION: Repository(gated=True),
            EMBEDDING: Repository(gated=True),
        }
    )
    with listening(hub) as url, asking(url, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def told(**settings) -> dict[str, str]:
    """The problems, by subject."""
    given = {"asr_model": WHISPER, "hf_token": TOKEN, **settings}
    return {one.subject: one.text for one in problems(examine(ModelSettings(**given)))}


class TestHub:
    def test_a_public_model_and_a_good_token(self, hub):
        assert told() == {}
        assert {request.path for request in hub.requests} >= {"/api/whoami-v2"}
        checked = [r for r in hub.requests if r.path.endswith("/auth-check")]
        assert [r.headers["authorization"] for r in checked] == [f"Bearer {TOKEN}"]

    def test_a_token_that_is_none(self, hub):
        assert "HF_TOKEN is not valid" in told(hf_token="hf_mistyped")["HF_TOKEN"]

    @pytest.mark.parametrize("is_logged_in", [False, True])
    def test_a_token_that_is_none_any_more(self, hub, is_logged_in, monkeypatch, tmp_path):
        """The hub then refuses even what is public."""
        (tmp_path / "token").write_text("hf_stale")
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        token = None if is_logged_in else "hf_stale"
        found = told(hf_token=token, diarization_model=PIPELINE)
        assert set(found) == {"HF_TOKEN", PIPELINE}
        name = "the token of hf auth login" if is_logged_in else "HF_TOKEN"
        assert found["HF_TOKEN"].startswith(f"{name} is not valid")
        assert "accept its terms at https://huggingface.co/voices/pipeline" in found[PIPELINE]

    def test_a_token_of_hf_auth_login(self, hub, monkeypatch, tmp_path):
        (tmp_path / "token").write_text(TOKEN)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        hub.accepted = {PIPELINE, SEGMENTATION, EMBEDDING}
        found = examine(ModelSettings(asr_model=WHISPER, diarization_model=PIPELINE))
        assert problems(found) == []
        (token,) = [one.text for one in found if one.subject == "HF_TOKEN"]
        assert token == "the token of hf auth login is valid, of somebody"

    def test_no_token_is_no_fault_for_public_models(self, hub, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nowhere")
        assert told(hf_token=None) == {}

    def test_every_gated_page_is_named_at_once(self, hub):
        hub.accepted = {PIPELINE}
        found = told(diarization_model=PIPELINE)
        assert set(found) == {SEGMENTATION, EMBEDDING}
        for repository, text in found.items():
            assert f"accept its terms at https://huggingface.co/{repository}" in text

    def test_a_pipeline_whose_terms_are_not_accepted(self, hub):
        assert set(told(diarization_model=PIPELINE)) == {PIPELINE}

    def test_what_a_closed_pipeline_names_is_known_for_the_usual_one(self, hub):
        usual = "pyannote/speaker-diarization-3.1"
        named = ("pyannote/segmentation-3.0", "pyannote/wespeaker-voxceleb-resnet34-LM")
        for repository in (usual, *named):
            hub.repositories[repository] = Repository(gated=True)
        assert set(told(diarization_model=usual)) == {usual, *named}

    def test_without_a_token_the_way_to_one_is_told(self, hub, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nowhere")
        text = told(hf_token=None, diarization_model=PIPELINE)[PIPELINE]
        assert "https://huggingface.co/settings/tokens" in text

    def test_a_fine_grained_token_that_may_not_read_gated_ones(self, hub):
        token = {"role": "fineGrained", "fineGrained": {"canReadGatedRepos": False}}
        hub.accounts[TOKEN]["auth"]["accessToken"] = token
        assert "fine-grained" in told(diarization_model=PIPELINE)[PIPELINE]

    def test_all_accepted(self, hub):
        hub.accepted = {PIPELINE, SEGMENTATION, EMBEDDING}
        assert told(diarization_model=PIPELINE) == {}

    def test_a_local_pipeline_that_names_closed_models(self, hub, tmp_path):
        config = hub.repositories[PIPELINE].files["config.yaml"]
        (tmp_path / "config.yaml").write_bytes(config)
        (tmp_path / "plda").mkdir()
        assert set(told(diarization_model=str(tmp_path))) == {SEGMENTATION, EMBEDDING}

    def test_a_name_nobody_has(self, hub):
        assert "no repository speech/whimper" in told(asr_model="speech/whimper")["speech/whimper"]

    def test_a_hub_that_is_down(self, hub):
        hub.status = 503
        found = told(diarization_model=PIPELINE)
        assert set(found) == {"hub"}
        assert "status 503" in found["hub"]
        assert len(hub.requests) == 1

    @pytest.mark.parametrize("token", [TOKEN, None])
    def test_a_hub_that_is_not_there(self, hub, monkeypatch, caplog, capfd, token):
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nowhere")
        nobody = "http://127.0.0.1:9"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", nobody)
        template = nobody + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (huggingface_hub.constants, huggingface_hub.file_download):
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        began = time.monotonic()
        found = told(hf_token=token, diarization_model=PIPELINE, assistant_model="speech/tiny")
        assert time.monotonic() - began < 5
        assert set(found) == {"hub"}
        assert "gave no answer" in found["hub"]
        assert caplog.text == ""
        assert capfd.readouterr() == ("", "")

    def test_an_assistant_is_judged_before_a_weight_is_loaded(self, hub, models_dir):
        tiny = models_dir / "whisper-tiny.en"
        files = {n: (tiny / n).read_bytes() for n in ("config.json", "generation_config.json")}
        hub.repositories["speech/tiny"] = Repository(files, sizes={"model.safetensors": 10**6})
        found = told(assistant_model="speech/tiny")
        assert "vocabulary 51864 against 51865" in found["assistant"]
        assert not any("safetensors" in request.path for request in hub.requests)

    def test_a_disk_that_is_too_small(self, hub):
        hub.repositories[WHISPER].sizes = {"model.safetensors": 10**16, "flax.msgpack": 10**17}
        assert "10000000.0 GB must still be downloaded" in told()["disk"]

    def test_a_memory_that_is_too_small(self, hub):
        hub.repositories[WHISPER].parameters = 10**13
        assert "choose a smaller ASR_MODEL" in told()["memory"]

    def test_a_cache_that_cannot_be_written(self, hub, monkeypatch, tmp_path):
        (tmp_path / "file").write_text("")
        cache = str(tmp_path / "file" / "cache")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", cache)
        assert "is not writable" in told()["HF_HUB_CACHE"]

    def test_a_cache_that_has_everything_may_be_read_only(self, hub, monkeypatch, tmp_path):
        assert told() == {}  # this downloads what is small
        monkeypatch.setattr(machine, "check_writable", lambda *_: bad("cache", "read-only"))
        assert told() == {}
        assert "cache" in told(asr_model="speech/other")

    def test_loading_tells_everything_at_once(self, hub):
        """What the loader meets first, and what it would have met next."""
        hub.accepted = {PIPELINE}
        settings = ModelSettings(
            asr_model="speech/whimper", diarization_model=PIPELINE, hf_token=TOKEN
        )
        with pytest.raises(ModelLoadError) as caught:
            load_pipeline(settings)
        text = str(caught.value)
        assert all(name in text for name in ("speech/whimper", SEGMENTATION, EMBEDDING))
        assert "\n" not in text
        assert TOKEN not in text

    def test_as_a_command(self, hub, tmp_path):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "ASR_MODEL": WHISPER,
            "DIARIZATION_MODEL": PIPELINE,
        }
        ended = subprocess.run(
            [sys.executable, "-m", "asr_diarization", "doctor", "--json"],
            cwd=REPO, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        report = json.loads(ended.stdout)
        assert (ended.returncode, report["is_ok"]) == (1, False)
        wrong = [one["subject"] for one in report["findings"] if not one["is_ok"]]
        assert wrong == [PIPELINE]
        assert f"asking the hub about {PIPELINE} ..." in ended.stderr
        assert TOKEN not in ended.stdout + ended.stderr
