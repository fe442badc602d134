"""Word times: dynamic time warping over the decoder's cross-attention.

Some heads of Whisper's decoder attend to the frames of the token they write ("alignment heads").
One pass over the finished tokens of all rows gives their attention weights. The cheapest monotonous
path through these gives the frame at which each token begins (as in OpenAI's `timing.py`; Sakoe and
Chiba 1978 for the warping).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.model import Decoder, RecordedHeads

FRAME_SECONDS = 0.02
MEDIAN_FRAMES = 7
"""Width of the median filter over time."""


@torch.inference_mode()
def token_starts(  # noqa: PLR0913, PLR0917  the inputs of one decoder pass
    decoder: Decoder,
    cache: Cache,
    prefixes: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
    end: int,
    frames: Sequence[int],
    heads: Sequence[tuple[int, int]],
) -> list[Sequence[float]]:
    """Seconds at which each token begins and the last one ends: len(text) + 1 for each row.

    Args:
        decoder: the model that generated the texts.
        cache: of the same windows, rows in any order; its self-attention is overwritten.
        prefixes: forced tokens before each text.
        texts: text tokens, without timestamps.
        end: id of the end token.
        frames: how many frames of each window are no padding.
        heads: (layer, head) of the alignment heads.
    """
    rows = [[*prefixes[window], *texts[window], end] for window in cache.order]
    longest = max(map(len, rows))
    tokens = torch.full((len(rows), longest), end, device=decoder.device)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row, device=decoder.device)
    recorded = {
        layer: RecordedHeads([head for other, head in heads if other == layer])
        for layer, _ in heads
    }
    decoder(tokens, torch.zeros_like(tokens[:, 0]), cache, length=longest, recorded=recorded)
    attention = torch.cat([r.weights for r in recorded.values() if r.weights is not None], dim=1)
    starts: list[Sequence[float]] = [[] for _ in texts]
    for i, window in enumerate(cache.order):
        start_of_text = len(prefixes[window]) - 1
        end_of_text = start_of_text + 1 + len(texts[window])
        of_text = attention[i, :, start_of_text:end_of_text, : max(1, frames[window])].float()
        starts[window] = (first_frames(_cost(of_text)) * FRAME_SECONDS).tolist()
    return starts


def _cost(attention: Tensor) -> NDArray[np.float64]:
    """(heads, tokens, frames) of attention weights to (tokens, frames) of cost."""
    deviation, mean = torch.std_mean(attention, dim=1, keepdim=True, unbiased=False)
    normalised = (attention - mean) / deviation.clamp(min=1e-9)
    cost: NDArray[np.float64] = -_median_filter(normalised).mean(dim=0).cpu().double().numpy()
    return cost


def _median_filter(x: Tensor) -> Tensor:
    """Median of every seven neighbours in the last dimension, mirrored at the ends."""
    half = MEDIAN_FRAMES // 2
    if x.shape[-1] <= half:
        return x
    padded = F.pad(x, (half, half), mode="reflect")
    return padded.unfold(-1, MEDIAN_FRAMES, 1).median(dim=-1).values


def first_frames(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """The frame at which the cheapest monotonous path first reaches each row of `cost`.

    The path starts at the first row and frame, ends at the last of both, and moves to the next row,
    the next frame, or both. Row by row: inside a row the path can only run on, so the cheapest way
    to reach frame j is the cheapest entry at or before j plus the cost of running from there, and a
    running minimum over `entry - cost so far` finds it without a loop over frames.

    Returns: integer frames as floats, shape (rows,), not decreasing, the first 0.
    """
    rows, frames = cost.shape
    columns = np.arange(frames)
    entered_at = np.zeros((rows, frames), dtype=np.int64)
    came_diagonally = np.zeros((rows, frames), dtype=bool)
    total = np.cumsum(cost[0])
    for row in range(1, rows):
        diagonal = np.concatenate(([np.inf], total[:-1]))
        came_diagonally[row] = diagonal < total
        entry = np.minimum(diagonal, total)
        run = np.cumsum(cost[row])
        gain = entry - np.concatenate(([0.0], run[:-1]))
        cheapest = np.minimum.accumulate(gain)
        entered_at[row] = np.maximum.accumulate(np.where(gain == cheapest, columns, 0))
        total = cheapest + run
    first = np.zeros(rows)
    frame = frames - 1
    for row in range(rows - 1, 0, -1):
        frame = entered_at[row, frame]
        first[row] = frame
        frame -= int(came_diagonally[row, frame])
    return first
