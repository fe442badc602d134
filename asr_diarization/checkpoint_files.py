"""The tensors of a checkpoint in transformers' format, read without building its modules.

Importing transformers' Whisper and filling its modules takes longer than all else of a start, and
only the tensors are needed. What is not stored as safetensors is left to transformers.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import cached_file

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


PREFIX = "model."
"""Of names in `WhisperForConditionalGeneration`; a bare `WhisperModel` was saved without it."""


def load_weights(source: str, token: str | None = None) -> dict[str, Tensor]:
    """Every tensor by its name in the whole model, in the type it is stored in, on the CPU.

    Args:
        source: hub id or directory.
        token: for gated or private repositories.

    Raises:
        OSError: there is no such checkpoint, or it may not be read.
    """
    weights = _stored(source, token)
    is_bare = "encoder.conv1.weight" in weights
    return {PREFIX + name: t for name, t in weights.items()} if is_bare else weights


def _stored(source: str, token: str | None) -> dict[str, Tensor]:
    if single := _find(source, SINGLE, token):
        return dict(load_file(single))
    if index := _find(source, INDEX, token):
        shards = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        paths = [cached_file(source, shard, token=token) for shard in sorted(shards)]
        return {name: tensor for path in paths for name, tensor in load_file(path).items()}
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(
        source, token=token, torch_dtype=torch.float32
    )
    weights: dict[str, Tensor] = model.state_dict()
    return weights


def _find(source: str, name: str, token: str | None) -> str | None:
    try:
        path: str | None = cached_file(source, name, token=token)
    except OSError:
        return None  # another file may be there; the last attempt says what is wrong
    return path
