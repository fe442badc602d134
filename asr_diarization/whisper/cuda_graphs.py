"""The decoder's step as a CUDA graph: recorded once for each shape, then replayed.

An accelerator finishes the small kernels of one step faster than Python launches them. A CUDA graph
launches all of them at once, but only for the shapes and addresses it was recorded with. Therefore
finished rows are computed as padding, and the length of the cache is rounded up to `LENGTH_STEP`.
Other devices compute the same shapes without a graph, so that tests cover them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.model import Decoder

LENGTH_STEP = 64
"""Cache lengths are rounded up to a multiple of this; each multiple has a graph of its own."""


class CapturedSteps:
    """Logits of next tokens for the rows of one cache, as `Decoder` computes them."""

    def __init__(self, decoder: Decoder, cache: Cache) -> None:
        self._decoder, self._cache = decoder, cache
        self._recordings: dict[tuple[int, int], _Recording] = {}

    def __call__(self, tokens: Tensor, positions: Tensor, length: int) -> Tensor:
        """Logits after each of the new tokens: (rows, new, vocabulary), valid until the next call.

        Args:
            tokens: (rows, new) ids of the unfinished rows, which are the cache's first rows.
            positions: (rows,) position of each row's first new token.
            length: how much of the cache is in use.
        """
        rows, new = tokens.shape
        rounded_up = -(-length // LENGTH_STEP) * LENGTH_STEP
        shape = new, min(rounded_up, self._cache.self_attention.shape[2])
        if shape not in self._recordings:
            self._recordings[shape] = _Recording(self._decoder, self._cache, *shape)
        return self._recordings[shape](tokens, positions)[:rows]


class _Recording:
    """One step of all rows of a cache."""

    def __init__(self, decoder: Decoder, cache: Cache, new: int, length: int) -> None:
        rows, device = cache.self_attention.shape[1], decoder.device
        self._tokens = torch.zeros(rows, new, dtype=torch.long, device=device)
        self._positions = torch.zeros(rows, dtype=torch.long, device=device)

        def compute() -> Tensor:
            return decoder.logits(decoder(self._tokens, self._positions, cache, length))

        self._compute = compute
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, tokens: Tensor, positions: Tensor) -> Tensor:
        rows = len(tokens)
        self._tokens[:rows], self._positions[:rows] = tokens, positions
        self._positions[rows:] = 0  # the first positions of finished rows are not read again
        if not self._tokens.is_cuda:
            return self._compute()
        if self._replay is None:
            with torch.cuda.device(self._tokens.device):
                self._replay = _record(self._compute)
        return self._replay()


def _record(compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """`compute` as a CUDA graph; it runs once before, because recording needs warm libraries."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch leaves its streams untyped
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Another thread may diarize at the same time, and allocate memory.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = compute()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay
