"""How much memory a set of models needs, computed from their configurations.

The weights count as parameters times bytes; the decoder's caches as what `caches.Cache` allocates
for the largest batch; everything else is an allowance, set by the peaks of docs/performance.md.
Measured for whisper-base with the local diarization on a CPU: 2.12 GB; computed: 2.2 GB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_diarization.config import DEFAULT_BATCH_SIZE, MAX_CPU_BATCH_SIZE

GB = 10**9
CPU_LIBRARIES, CUDA_LIBRARIES = int(1.1 * GB), int(0.6 * GB)
"""torch and its friends, before any weight."""
CPU_DIARIZATION, CUDA_DIARIZATION = int(0.5 * GB), int(1.5 * GB)
CPU_BYTES, CUDA_BYTES = 6, 2
"""Bytes a parameter: float32 while loading and the copies made of it; float16."""
FRAMES, POSITIONS = 1500, 448


@dataclass(frozen=True, slots=True)
class WhisperSize:
    """What of a Whisper checkpoint decides its memory, and which assistants can fit it."""

    parameters: int
    decoder_layers: int
    width: int
    vocabulary: int

    def bytes_on(self, device: str) -> int:
        """Weights, and caches of the largest batch."""
        on_cpu = device == "cpu"
        number = 4 if on_cpu else 2
        cache = 2 * self.decoder_layers * self.width * (FRAMES + POSITIONS) * number
        if on_cpu:
            return CPU_BYTES * self.parameters + MAX_CPU_BATCH_SIZE * cache
        return CUDA_BYTES * self.parameters + DEFAULT_BATCH_SIZE * cache


def needed_bytes(whispers: list[WhisperSize], *, diarization: bool, device: str) -> int:
    """Memory for these models and one request on `device` (`cpu`, or an accelerator)."""
    on_cpu = device == "cpu"
    needed = CPU_LIBRARIES if on_cpu else CUDA_LIBRARIES
    if diarization:
        needed += CPU_DIARIZATION if on_cpu else CUDA_DIARIZATION
    return needed + sum(whisper.bytes_on(device) for whisper in whispers)


def whisper_size(config: Mapping[str, Any], parameters: int) -> WhisperSize:
    """From a checkpoint's `config.json` and its number of parameters."""
    names = ("decoder_layers", "d_model", "vocab_size")
    return WhisperSize(parameters, *(int(config[name]) for name in names))


def local_parameters(directory: Path) -> int:
    """Numbers in the weights of a directory: from safetensors' headers, else from sizes."""
    whole = [path for path in directory.glob("*.safetensors") if "fp32" not in path.name]
    try:
        total = sum(math.prod(shape) for path in whole for shape in tensor_shapes(path))
    except ValueError:
        return 0  # `check_directories` says so
    return total or sum(path.stat().st_size // 4 for path in directory.glob("*.bin"))


def tensor_shapes(path: Path) -> list[list[int]]:
    """Of every tensor in a safetensors file, from its header.

    Raises:
        ValueError: it is none, or its end is missing.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length) if length < size else b"")
        header.pop("__metadata__", None)
        whole = 8 + length + max(tensor["data_offsets"][1] for tensor in header.values())
        shapes = [tensor["shape"] for tensor in header.values()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path.name} is no safetensors file; copy it again") from error
    if size != whole:
        raise ValueError(f"{path.name} has {size} of {whole} bytes; copy it again")
    return shapes


def read_config(directory: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint; empty when there is none, or it is broken."""
    return read_json(directory / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """An object in a file; empty when there is none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
