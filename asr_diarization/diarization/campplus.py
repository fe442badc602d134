"""CAM++, a speaker embedding, as the `Model` that a pyannote pipeline loads, version 3 or 4.

The network of "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (Wang et al. 2023, arXiv 2303.00332) with the weights of 3D-Speaker, for inference only.
Batch norms are gone: `campplus_weights` folds them into the layer before or after.

A speaker's frames are cut out before the network sees them, so that it never hears anybody else.
Three speakers sharing one pass over the whole chunk, each masking what is pooled, was slower (166
against 146 ms a chunk), because all speakers' frames together are rarely as many as the chunk has,
and scored no better, with less room for the clustering threshold.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pyannote.audio import Model
from torch import Tensor, nn
from torch.nn import functional

from asr_diarization.diarization.campplus_packing import (
    Layout,
    Pack,
    lay_out,
    pack_alone,
    pack_speakers,
)
from asr_diarization.diarization.fbank import MEL_BINS, SAMPLE_RATE, FilterBanks

HEAD_CHANNELS = 32
FIRST_CHANNELS = 128
GROWTH = 32
BOTTLENECK = 128
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each dense block."""
DIMENSION = 192
MIN_FRAMES = 4
"""Fewer leave nothing to take a standard deviation of."""


class ResidualBlock(nn.Module):  # type: ignore[misc]
    """Two 3 x 3 convolutions and a shortcut; `stride` is that of the mel axis."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        channels = HEAD_CHANNELS
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        shortcut = nn.Conv2d(channels, channels, 1, stride=(stride, 1))
        self.shortcut = shortcut if stride > 1 else nn.Identity()

    def forward(self, x: Tensor, audible: Tensor | None) -> Tensor:
        """As many channels and frames; the mel axis divided by the stride."""
        inner = self.conv2(_quiet(self.conv1(x).relu_(), audible))
        return _quiet(inner.add_(self.shortcut(x)).relu_(), audible)


class Head(nn.Module):  # type: ignore[misc]
    """What sees the filter banks as an image: (batch, 80, frames) to (batch, 320, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, HEAD_CHANNELS, 3, padding=1)
        self.layer1 = nn.ModuleList((ResidualBlock(2), ResidualBlock(1)))
        self.layer2 = nn.ModuleList((ResidualBlock(2), ResidualBlock(1)))
        self.conv2 = nn.Conv2d(HEAD_CHANNELS, HEAD_CHANNELS, 3, stride=(2, 1), padding=1)

    def forward(self, x: Tensor, audible: Tensor | None) -> Tensor:
        """The channels of all mel rows that are left, one after the other."""
        x = self.conv1(x[:, None].to(memory_format=torch.channels_last)).relu_()
        x = _quiet(x, audible)
        for block in (*self.layer1, *self.layer2):
            x = block(x, audible)
        return _quiet(self.conv2(x).relu_(), audible).flatten(1, 2)


def _quiet(x: Tensor, audible: Tensor | None) -> Tensor:
    """`x` with zeros where nobody speaks: what a layer would have met beyond the ends."""
    return x if audible is None else x.mul_(audible)


class Rectify(nn.Module):  # type: ignore[misc]
    """`relu(a x + b)` as one pass over `x`, `a` and `b` having moved into the layer after it.

    For a > 0 it is a max(x, -b/a) + b, for a < 0 it is a min(x, -b/a) + b.
    """

    low: Tensor
    high: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(channels, 1))
        self.register_buffer("high", torch.zeros(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x` (batch, frames, channels), bounded."""
        return x.clamp(self.low[:, 0], self.high[:, 0])


class DenseLayer(nn.Module):  # type: ignore[misc]
    """One layer of a block: all channels so far in, `GROWTH` new ones out."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.rectify = Rectify(channels)
        self.narrow = nn.Conv1d(channels, BOTTLENECK, 1)
        self.local = nn.Conv1d(
            BOTTLENECK, GROWTH, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.context1 = nn.Conv1d(BOTTLENECK, BOTTLENECK // 2, 1)
        self.context2 = nn.Conv1d(BOTTLENECK // 2, GROWTH, 1)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """The new channels (batch, frames, 32)."""
        x = _quiet(pointwise(self.narrow, self.rectify(x)).relu_(), layout.rows)
        hidden = pointwise(self.context1, layout.means @ x).relu_()
        mask = pointwise(self.context2, hidden).sigmoid_()
        return self.convolve(x).mul_(layout.segments @ mask)

    def convolve(self, x: Tensor) -> Tensor:
        """`self.local(x)`: one product for its three taps, which are then shifted and added."""
        reach = self.local.dilation[0]
        taps = functional.linear(x, self.local.weight.permute(2, 0, 1).flatten(0, 1))
        before, here, after = taps.split(GROWTH, dim=-1)
        here[:, reach:] += before[:, :-reach]
        here[:, :-reach] += after[:, reach:]
        return here


class DenseBlock(nn.Module):  # type: ignore[misc]
    """Layers that each append channels, and a transition that halves their number."""

    def __init__(self, channels: int, layers: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DenseLayer(channels + GROWTH * number, dilation) for number in range(layers)
        )
        self.channels = channels + GROWTH * layers
        self.rectify = Rectify(self.channels)
        self.transit = nn.Conv1d(self.channels, self.channels // 2, 1)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Half of all channels (batch, frames, (channels + 32 layers) / 2)."""
        batch, frames, channels = x.shape
        # One buffer instead of a concatenation per layer.
        grown = x.new_empty(batch, frames, self.channels)
        grown[..., :channels] = x
        for layer in self.layers:
            grown[..., channels : channels + GROWTH] = layer(grown[..., :channels], layout)
            channels += GROWTH
        return pointwise(self.transit, self.rectify(grown))


def pointwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """`conv`, of width 1, on (batch, frames, channels).

    As a matrix product it is twice as fast in bfloat16: convolutions rearrange weights and input
    with every call.
    """
    return functional.linear(x, conv.weight[..., 0], conv.bias)


class Trunk(nn.Module):  # type: ignore[misc]
    """Filter banks (batch, frames, 80) to what statistics are taken of."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Head()
        self.tdnn = nn.Conv1d(HEAD_CHANNELS * MEL_BINS // 8, FIRST_CHANNELS, 5, 2, padding=2)
        blocks, channels = [], FIRST_CHANNELS
        for layers, dilation in BLOCKS:
            blocks.append(DenseBlock(channels, layers, dilation))
            channels = blocks[-1].channels // 2
        self.blocks = nn.ModuleList(blocks)
        self.channels = channels

    def forward(self, features: Tensor, layout: Layout) -> Tensor:
        """(batch, frames / 2, 512), not negative."""
        x = self.head(features.transpose(1, 2), layout.frames)
        x = self.tdnn(x).relu_().transpose(1, 2)
        for block in self.blocks:
            x = block(x, layout)
        return x.relu_()


class CAMPPlus(Model):  # type: ignore[misc]
    """One vector per speaker and chunk; the cosine tells speakers apart.

    `model.trunk.to(torch.bfloat16)` takes a third to a half off the time where the hardware knows
    bfloat16; filter banks and statistics stay in float32.
    """

    def __init__(
        self, sample_rate: int = SAMPLE_RATE, num_channels: int = 1, task: None = None
    ) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.filter_banks = FilterBanks()
        self.trunk = Trunk()
        self.dense = nn.Linear(2 * self.trunk.channels, DIMENSION)
        self.packs = False

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return DIMENSION

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        """A vector for each row of `weights`, or for each waveform when there are none.

        Args:
            waveforms: (batch, 1, samples), in [-1, 1].
            weights: (batch, frames) or (batch, speakers, frames), at any frame rate; a speaker's
                own frames are those above one half.

        Returns:
            (batch, 192) or (batch, speakers, 192); NaN, which pyannote leaves out, for whoever
            speaks less than 55 ms.

        Raises:
            ValueError: the waveforms themselves are shorter than that.
        """
        features = self.filter_banks(waveforms[:, 0])
        if features.shape[1] < MIN_FRAMES:
            raise ValueError(f"{waveforms.shape[-1]} samples are too few to tell a speaker by")
        if weights is None:
            weights = features.new_ones(features.shape[:2])
        rows = weights if weights.ndim == 3 else weights[:, None]
        rows = functional.interpolate(rows.float(), size=features.shape[1], mode="nearest") > 0.5
        owned = [
            frames[own] for frames, speakers in zip(features, rows, strict=True) for own in speakers
        ]
        return self.embed(owned).reshape(*weights.shape[:-1], DIMENSION)

    def quicken(self, dtype: torch.dtype) -> None:
        """From now on pack speakers, and compute the trunk in `dtype`."""
        self.packs = True
        self.trunk.to(dtype)

    def embed(self, speakers: list[Tensor]) -> Tensor:
        """The vectors (speakers, 192) of each speaker's filter banks (frames, 80)."""
        vectors = speakers[0].new_full((len(speakers), DIMENSION), torch.nan)
        heard = [number for number, frames in enumerate(speakers) if len(frames) >= MIN_FRAMES]
        centred = [speakers[number] - speakers[number].mean(dim=0) for number in heard]
        if self.packs:
            whole = pack_speakers([len(frames) for frames in centred])
            for packs in _batches(whole, alone=vectors.device.type == "cpu"):
                for who, hidden in self._hidden(packs, centred):
                    vectors[heard[who]] = self._pool(hidden)
        else:
            for number, frames in zip(heard, centred, strict=True):
                ((_, hidden),) = self._hidden([pack_alone(len(frames))], [frames])
                vectors[number] = self._pool(hidden)
        return vectors

    def _hidden(self, packs: list[Pack], speakers: list[Tensor]) -> Iterator[tuple[int, Tensor]]:
        """What the trunk makes of each speaker in `packs`, all of the same length."""
        weight = self.trunk.tdnn.weight
        filled = torch.stack([pack.fill(speakers) for pack in packs]).to(weight.dtype)
        for pack, hidden in zip(packs, self.trunk(filled, lay_out(packs, weight)), strict=True):
            for who, first, length in pack.rows:
                yield who, hidden[first : first + length].float()

    def _pool(self, hidden: Tensor) -> Tensor:
        return self.dense(torch.cat((hidden.mean(dim=0), hidden.std(dim=0))))


def _batches(packs: list[Pack], *, alone: bool) -> list[list[Pack]]:
    """Packs of the same length together, unless each is to be `alone`."""
    if alone:  # what fits a processor's caches is quicker
        return [[pack] for pack in packs]
    lengths = sorted({pack.frames for pack in packs})
    return [[pack for pack in packs if pack.frames == length] for length in lengths]
