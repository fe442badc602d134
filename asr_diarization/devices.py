"""Which device computes, which number types it has, and what to do when its memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from asr_diarization.errors import AsrDiarizationError, ModelLoadError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
logger = logging.getLogger(__name__)

ALLOCATORS = ("out of memory", "allocate memory", "ALLOC_FAILED")
"""In the words of torch's allocators (CUDA and MPS, CPU, cuDNN and cuBLAS), which mostly raise
plain `RuntimeError`."""


def choose_device(setting: str) -> torch.device:
    """The device a setting means; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ModelLoadError: the device is not there.
    """
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if setting == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    device = torch.device(setting)
    has_index = device.type != "cuda" or (device.index or 0) < torch.cuda.device_count()
    if not (available[device.type] and has_index):
        raise ModelLoadError(f"DEVICE={setting} is not available here; use DEVICE=auto or cpu")
    return device


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 itself (avx512_bf16 or amx); else it is slower."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001  no public name


def has_int8() -> bool:
    """Whether this build of torch has FBGEMM's int8 products (x86 has)."""
    import torch

    return "fbgemm" in torch.backends.quantized.supported_engines


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, and nobody has said so yet in this project's words."""
    if isinstance(error, AsrDiarizationError):
        return False
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's
    return named or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATORS)
    )


def with_less(work: Callable[[int], T], size: int) -> T:
    """`work(size)`; while memory runs out, begun again with half of the size, down to 1."""
    while True:
        try:
            return work(size)
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size = halved(size)


def halved(size: int) -> int:
    """Half of how many did not fit, at least 1."""
    logger.warning("out of memory with %d at once, trying %d", size, max(1, size // 2))
    return max(1, size // 2)
