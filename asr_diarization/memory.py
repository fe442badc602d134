"""What to do when memory runs out: the same with less at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from asr_diarization.errors import AsrDiarizationError

T = TypeVar("T")
logger = logging.getLogger(__name__)

ALLOCATORS = ("out of memory", "allocate memory", "ALLOC_FAILED")
"""In the words of torch's allocators (CUDA and MPS, CPU, cuDNN and cuBLAS), which mostly raise
plain `RuntimeError`."""


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
