"""Memory that models need, and number of their parameters from the headers of their files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from asr_diarization.model_info.memory import (
    local_parameters,
    needed_bytes,
    tensor_shapes,
    whisper_size,
)

TENSORS = {"a": np.zeros((3, 4), np.float16), "b": np.zeros((), np.float32)}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path, metadata={"format": "pt"})
    return path


def test_larger_models_need_more():
    shape = {"decoder_layers": 32, "d_model": 1280, "vocab_size": 51866}
    turbo = whisper_size(shape | {"decoder_layers": 4}, 809_000_000)
    large = whisper_size(shape, 1_543_000_000)
    on = {"diarization": True, "device": "cuda"}
    assert 4e9 < needed_bytes([turbo], **on) < 7e9
    assert 12e9 < needed_bytes([large], **on) < 16e9
    assert needed_bytes([large, turbo], **on) > needed_bytes([large], **on)


def test_shapes_come_from_the_header(weights):
    assert sorted(tensor_shapes(weights)) == [[], [3, 4]]


def test_parameters_are_counted_without_the_copy_in_float32(weights):
    save_file(TENSORS, weights.with_name("model.fp32.safetensors"))
    assert local_parameters(weights.parent) == 13


def test_parameters_of_other_files_are_estimated_from_their_size(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(bytes(400))
    assert local_parameters(tmp_path) == 100


@pytest.mark.parametrize("length", [0, 4, 60, -1])
def test_an_incomplete_file_is_refused(weights, length):
    weights.write_bytes(weights.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"^model\.safetensors is not a complete safetensors file"):
        tensor_shapes(weights)
    assert local_parameters(weights.parent) == 0


@pytest.mark.parametrize("name", ["safetensors", "numpy"])
def test_nothing_is_read_without_the_libraries(weights, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    assert tensor_shapes(weights) == []
