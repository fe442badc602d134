"""The memory that a set of models needs, computed from their configurations.

Weights count as parameters times bytes, and the decoder's caches as what `whisper.caches.Cache`
allocates for the largest batch. The rest is an allowance, set by the peaks in docs/performance.md.
Measured for whisper-base with the local diarization on a CPU: 2.12 GB; computed: 2.2 GB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_diarization.config import DEFAULT_BATCH_SIZE, MAX_CPU_BATCH_SIZE

GB = 10**9
CPU_LIBRARIES, CUDA_LIBRARIES = int(1.1 * GB), int(0.6 * GB)
"""Memory of torch and the other libraries before any weights are loaded."""
CPU_DIARIZATION, CUDA_DIARIZATION = int(0.5 * GB), int(1.5 * GB)
CPU_BYTES, CUDA_BYTES = 6, 2
"""Bytes per parameter: float32 while loading and the packed copies made of it; float16."""
ENCODER_FRAMES, DECODER_POSITIONS = 1500, 448


@dataclass(frozen=True, slots=True)
class WhisperSize:
    """Sizes of a Whisper checkpoint; they decide its memory and which assistants fit."""

    parameters: int
    decoder_layers: int
    width: int
    vocabulary: int

    def bytes_on(self, device: str) -> int:
        """Memory of the weights, and of the caches for the largest batch."""
        on_cpu = device == "cpu"
        bytes_per_number = 4 if on_cpu else 2
        positions = ENCODER_FRAMES + DECODER_POSITIONS
        cache = 2 * self.decoder_layers * self.width * positions * bytes_per_number
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
    """The sizes of a checkpoint, from its `config.json` and its number of parameters."""
    names = ("decoder_layers", "d_model", "vocab_size")
    return WhisperSize(parameters, *(int(config[name]) for name in names))


def local_parameters(directory: Path) -> int:
    """Number of parameters in a directory: from safetensors' headers, else from file sizes."""
    files = [path for path in directory.glob("*.safetensors") if "fp32" not in path.name]
    try:
        total = sum(math.prod(shape) for path in files for shape in tensor_shapes(path))
    except ValueError:
        return 0  # `check_directory` reports it
    return total or sum(path.stat().st_size // 4 for path in directory.glob("*.bin"))


def tensor_shapes(path: Path) -> list[list[int]]:
    """The shape of every tensor in a safetensors file; empty if the libraries cannot be imported.

    Raises:
        ValueError: it is not a safetensors file, or it is incomplete.
    """
    try:
        import numpy  # noqa: ICN001, F401  `safe_open` imports it, too
        from safetensors import SafetensorError, safe_open
    except Exception:  # noqa: BLE001  `check_imports` of the doctor reports it
        return []
    open_file: Callable[..., Any] = safe_open  # its stub has no types
    try:
        with open_file(path, framework="numpy") as file:
            return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path.name} is not a complete safetensors file ({error}); copy it again"
        ) from error


def read_config(directory: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint; empty if it is missing or broken."""
    return read_json(directory / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if it is missing or broken."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
