"""Devices: their choice, their number types, and smaller batches when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from asr_diarization.errors import AsrDiarizationError, ModelLoadError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
logger = logging.getLogger(__name__)

OUT_OF_MEMORY_TEXTS = ("out of memory", "allocate memory", "ALLOC_FAILED")
"""From the messages of torch's allocators (CUDA and MPS, CPU, cuDNN and cuBLAS), which mostly raise
plain `RuntimeError`."""


def choose_device(setting: str) -> torch.device:
    """The device of a setting; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ModelLoadError: the device is not available.
    """
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if setting == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    device = torch.device(setting)
    has_index = device.type != "cuda" or (device.index or 0) < torch.cuda.device_count()
    if not (available[device.type] and has_index):
        raise ModelLoadError(f"DEVICE={setting} is not available here; use DEVICE=auto or cpu")
    return device


def has_bfloat16() -> bool:
    """Whether this processor has bfloat16 products (avx512_bf16 or amx); others emulate them."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001  no public name


def has_int8() -> bool:
    """Whether this build of torch has FBGEMM's int8 products (x86 has)."""
    import torch

    return "fbgemm" in torch.backends.quantized.supported_engines


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is a library's error about memory, not one of this project's own."""
    if isinstance(error, AsrDiarizationError):
        return False
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's
    return named or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)
    )


def fit_batch(work: Callable[[int], T], size: int) -> T:
    """`work(size)`; when memory runs out, it starts again with half the batch size, down to 1."""
    while True:
        try:
            return work(size)
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size = halve_batch_size(size)


def halve_batch_size(size: int) -> int:
    """Half of a batch size that did not fit, at least 1; logs a warning."""
    half = max(1, size // 2)
    logger.warning("out of memory with a batch size of %d, trying %d", size, half)
    return half
