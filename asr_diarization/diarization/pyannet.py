"""Faster inference of PyanNet, pyannote's segmentation network, on a CPU, with equal results.

The first layer of PyanNet, 80 sinc filters of 251 samples, is half of its work, and chunks of 10 s
that start every second filter each second of audio ten times. The filters are linear, and the
instance norm before them only scales and shifts a chunk. Therefore they are applied once to all
chunks of a batch. The max pooling after them takes the largest |a y + b| of three values y, which
is at the largest or the smallest y. Both are shared as well, once per alignment of the pooling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

POOL = 3
"""Width of the max pooling after the filters."""


def optimize_pyannet(model: Any) -> None:
    """Make `model` faster on a CPU, if it is a PyanNet."""
    if type(model).__name__ == "PyanNet":
        model.sincnet.forward = SharedFilters(model.sincnet)


class SharedFilters:
    """`SincNet.forward` that filters the samples shared by several chunks of a batch once."""

    def __init__(self, sincnet: Any) -> None:
        self._net = sincnet
        self._forward: Callable[[Tensor], Tensor] = sincnet.forward
        with torch.inference_mode():
            self._filters: Tensor = sincnet.conv1d[0].filterbank.filters()
            self._sums = self._filters.sum(dim=-1)

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Features (batch, 60, frames) of chunks (batch, 1, samples).

        Strides show whether chunks are overlapping views of one recording, as pyannote makes them.
        """
        batch, _, samples = waveforms.shape
        step, hop = waveforms.stride(0), self._net.stride
        if batch == 1 or step >= samples or step % hop or waveforms.stride(-1) != 1:
            return self._forward(waveforms)
        together = waveforms.as_strided((1, (batch - 1) * step + samples), (0, 1))
        filtered = functional.conv1d(together, self._filters, stride=hop)
        pooled = (samples - self._filters.shape[-1] + hop) // hop // POOL
        extremes = [_extremes(filtered[:, shift:]) for shift in range(POOL)]
        chunks = []
        for number, waveform in enumerate(waveforms):
            first, shift = divmod(number * step // hop, POOL)
            highest, lowest = (bound[:, first : first + pooled] for bound in extremes[shift])
            chunks.append(self._features(waveform, highest, lowest))
        return torch.stack(chunks)

    def _features(self, waveform: Tensor, highest: Tensor, lowest: Tensor) -> Tensor:
        net, norm = self._net, self._net.wav_norm1d
        variance, mean = torch.var_mean(waveform, correction=0)
        scale = norm.weight * (variance + norm.eps).rsqrt()
        shift = (norm.bias - mean * scale) * self._sums
        x = torch.addcmul(shift, highest, scale).abs_()
        x = x.maximum(torch.addcmul(shift, lowest, scale).abs_())[None]
        x = functional.leaky_relu_(net.norm1d[0](x))
        for conv, pool, normalise in zip(
            net.conv1d[1:], net.pool1d[1:], net.norm1d[1:], strict=True
        ):
            x = functional.leaky_relu_(normalise(pool(conv(x))))
        return x[0]


def _extremes(filtered: Tensor) -> tuple[Tensor, Tensor]:
    """The largest and the smallest of every `POOL` values."""
    return (
        functional.max_pool1d(filtered, POOL),
        functional.max_pool1d(filtered.neg(), POOL).neg_(),
    )
