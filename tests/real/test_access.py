"""A model that the hub denies, and one that is not there, by the real loaders."""

from __future__ import annotations

import json

import huggingface_hub
import pyannote.audio
import pytest
import pytest_socket
import torch
import transformers

from asr_diarization.diarization.pyannote_pipeline import load_pyannote
from asr_diarization.errors import ModelLoadError
from asr_diarization.whisper.checkpoint import load_whisper
from tests.support.loopback_hub import TOKEN, LoopbackHub, Repository, asking, listening

pytestmark = pytest.mark.real

CLOSED = "voices/closed"


def load_speech(source, token=None):
    return load_whisper(source, torch.device("cpu"), token=token)


def told(load, source, token=None):
    """The one sentence that `load` ends with."""
    with pytest.raises(ModelLoadError) as caught:
        load(source, token)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])
    hub = LoopbackHub({CLOSED: Repository(gated=True)})
    with listening(hub) as url, asking(url, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        # transformers 4 keeps what HF_HUB_OFFLINE was at its import.
        monkeypatch.setattr(transformers.utils.hub, "_is_offline_mode", False, raising=False)
        yield hub


@pytest.mark.parametrize("load", [load_speech, load_pyannote])
@pytest.mark.parametrize("token", [TOKEN, None])
def test_a_gated_model_names_the_page_to_accept(hub, load, token):
    text = told(load, CLOSED, token)
    assert "gated" in text
    assert f"https://huggingface.co/{CLOSED}" in text


def test_a_model_that_is_not_there_is_not_called_gated(hub):
    assert "gated" not in told(load_speech, "voices/nobody", TOKEN)
    if not pyannote.audio.__version__.startswith("3."):  # which tells the two apart for nobody
        assert "not on the hub" in told(load_pyannote, "voices/nobody", TOKEN)


@pytest.mark.parametrize("load", [load_speech, load_pyannote])
def test_a_directory_is_not_gated_whatever_its_name_says(load, tmp_path):
    folder = tmp_path / "2403" / "gated-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    (folder / "config.yaml").write_text("pipeline: {name: nobody.has.This, params: {}}")
    text = told(load, str(folder))
    assert text.startswith("cannot load")
    assert "terms" not in text
