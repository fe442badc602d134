"""The decoder's step with shapes that never change: recorded once for a batch, then replayed.

An accelerator finishes the small kernels of one step faster than Python launches them. A CUDA graph
launches all of them at once, but only for the shapes and addresses it was recorded with: rows that
have finished go on as padding, and the cache is looked at in lengths of `LENGTH_STEP`. On other
devices the same shapes are computed without a graph, which is how they are tested.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.model import Decoder

LENGTH_STEP = 64
"""Every so many positions, one more recording is made."""


class CapturedSteps:
    """Scores of next tokens for the rows of one cache, as `Decoder` computes them."""

    def __init__(self, decoder: Decoder, cache: Cache) -> None:
        self._decoder, self._cache = decoder, cache
        self._recordings: dict[tuple[int, int], _Recording] = {}

    def __call__(self, tokens: Tensor, positions: Tensor, length: int) -> Tensor:
        """Scores after each of the new tokens: (rows, new, vocabulary), valid until the next call.

        Args:
            tokens: (rows, new) ids of the rows not finished yet, which are the cache's first.
            positions: (rows,) where each row's first new token stands.
            length: how much of the cache is in use.
        """
        rows, new = tokens.shape
        in_steps = -(-length // LENGTH_STEP) * LENGTH_STEP
        shape = new, min(in_steps, self._cache.own.shape[2])
        if shape not in self._recordings:
            self._recordings[shape] = _Recording(self._decoder, self._cache, *shape)
        return self._recordings[shape](tokens, positions)[:rows]


class _Recording:
    """One step of all of a cache's rows."""

    def __init__(self, decoder: Decoder, cache: Cache, new: int, length: int) -> None:
        rows, device = cache.own.shape[1], decoder.device
        self._tokens = torch.zeros(rows, new, dtype=torch.long, device=device)
        self._positions = torch.zeros(rows, dtype=torch.long, device=device)

        def compute() -> Tensor:
            return decoder.scores(decoder(self._tokens, self._positions, cache, length))

        self._compute = compute
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, tokens: Tensor, positions: Tensor) -> Tensor:
        rows = len(tokens)
        self._tokens[:rows], self._positions[:rows] = tokens, positions
        self._positions[rows:] = 0  # a finished row's beginning is never looked at again
        if not self._tokens.is_cuda:
            return self._compute()
        if self._replay is None:
            with torch.cuda.device(self._tokens.device):
                self._replay = _recorded(self._compute)
        return self._replay()


def _recorded(compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """`compute` as a CUDA graph; run once before, as recording wants its libraries warm."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        compute()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Another thread may diarize meanwhile, and allocate.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = compute()

    def replay() -> Tensor:
        graph.replay()
        return out

    return replay
