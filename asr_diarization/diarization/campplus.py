"""CAM++, a speaker embedding, as the `Model` that a pyannote pipeline loads, version 3 or 4.

The network of "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (Wang et al. 2023, arXiv 2303.00332) with the weights of 3D-Speaker, for inference only.
It has no batch norms: `campplus_weights` folds them into the layer before or after.

The network gets only the frames of one speaker, cut out of the chunk. The alternative, one pass
over the whole chunk for three speakers with a mask each in the pooling, was slower (166 against
146 ms a chunk), because the frames of all speakers are rarely as many as the chunk has. It scored
no better, and the clustering threshold had less tolerance.
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
"""From fewer frames no standard deviation can be taken."""


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; `stride` applies to the mel axis."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        channels = HEAD_CHANNELS
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        shortcut = nn.Conv2d(channels, channels, 1, stride=(stride, 1))
        self.shortcut = shortcut if stride > 1 else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Keeps channels and frames; divides the mel axis by the stride."""
        inner = self.conv2(_masked(self.conv1(x).relu_(), mask))
        return _masked(inner.add_(self.shortcut(x)).relu_(), mask)


class Head(nn.Module):
    """2-D convolutions over the filter banks: (batch, 80, frames) to (batch, 320, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, HEAD_CHANNELS, 3, padding=1)
        self.layer1 = nn.ModuleList((ResidualBlock(2), ResidualBlock(1)))
        self.layer2 = nn.ModuleList((ResidualBlock(2), ResidualBlock(1)))
        self.conv2 = nn.Conv2d(HEAD_CHANNELS, HEAD_CHANNELS, 3, stride=(2, 1), padding=1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """The channels of all remaining mel rows, one after the other."""
        x = self.conv1(x[:, None].to(memory_format=torch.channels_last)).relu_()
        x = _masked(x, mask)
        for block in (*self.layer1, *self.layer2):
            x = block(x, mask)
        return _masked(self.conv2(x).relu_(), mask).flatten(1, 2)


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` with zeros in the gaps between speakers, as if each were padded with zeros."""
    return x if mask is None else x.mul_(mask)


class Rectify(nn.Module):
    """`relu(a x + b)` as a clamp of `x`; `a` and `b` are folded into the layer after it.

    For a > 0 it is a max(x, -b/a) + b, for a < 0 it is a min(x, -b/a) + b.
    """

    low: Tensor
    high: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(channels, 1))
        self.register_buffer("high", torch.zeros(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """`x` (batch, frames, channels), clamped per channel."""
        return x.clamp(self.low[:, 0], self.high[:, 0])


class DenseLayer(nn.Module):
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
        x = _masked(pointwise(self.narrow, self.rectify(x)).relu_(), layout.rows)
        hidden = pointwise(self.context1, layout.means @ x).relu_()
        gate = pointwise(self.context2, hidden).sigmoid_()
        return self.convolve(x).mul_(layout.segments @ gate)

    def convolve(self, x: Tensor) -> Tensor:
        """`self.local(x)` as one matrix product for its three taps, then shifted and added."""
        shift = self.local.dilation[0]
        taps = functional.linear(x, self.local.weight.permute(2, 0, 1).flatten(0, 1))
        left, centre, right = taps.chunk(3, dim=-1)
        centre[:, shift:] += left[:, :-shift]
        centre[:, :-shift] += right[:, shift:]
        return centre


class DenseBlock(nn.Module):
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
        """(batch, frames, (channels + 32 layers) / 2)."""
        batch, frames, channels = x.shape
        # One buffer instead of a concatenation per layer.
        grown = x.new_empty(batch, frames, self.channels)
        grown[..., :channels] = x
        for layer in self.layers:
            grown[..., channels : channels + GROWTH] = layer(grown[..., :channels], layout)
            channels += GROWTH
        return pointwise(self.transit, self.rectify(grown))


def pointwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """`conv`, of kernel size 1, on (batch, frames, channels).

    A matrix product is twice as fast in bfloat16: convolutions rearrange weights and input in every
    call.
    """
    return functional.linear(x, conv.weight[..., 0], conv.bias)


class Trunk(nn.Module):
    """Filter banks (batch, frames, 80) to the features before pooling."""

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
        x: Tensor = self.head(features.transpose(1, 2), layout.frames)
        x = self.tdnn(x).relu_().transpose(1, 2)
        for block in self.blocks:
            x = block(x, layout)
        return x.relu_()


class CAMPPlus(Model):  # type: ignore[misc]
    """One embedding per speaker and chunk; the cosine tells speakers apart.

    `model.trunk.to(torch.bfloat16)` saves a third to a half of the time if the hardware has
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
        """The length of an embedding."""
        return DIMENSION

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        """An embedding for each row of `weights`, or for each waveform without `weights`.

        Args:
            waveforms: (batch, 1, samples), in [-1, 1].
            weights: (batch, frames) or (batch, speakers, frames), at any frame rate; a speaker's
                own frames are those above one half.

        Returns:
            (batch, 192) or (batch, speakers, 192); NaN, which pyannote leaves out, for a speaker
            with less than 55 ms of speech.

        Raises:
            ValueError: the waveforms are shorter than 55 ms.
        """
        features = self.filter_banks(waveforms[:, 0])
        if features.shape[1] < MIN_FRAMES:
            raise ValueError(f"{waveforms.shape[-1]} samples are too few to tell a speaker by")
        if weights is None:
            weights = features.new_ones(features.shape[:2])
        rows = weights if weights.ndim == 3 else weights[:, None]
        rows = functional.interpolate(rows.float(), size=features.shape[1], mode="nearest") > 0.5
        cut = [frames[mask] for frames, masks in zip(features, rows, strict=True) for mask in masks]
        return self.embed(cut).reshape(*weights.shape[:-1], DIMENSION)

    def optimize(self, dtype: torch.dtype) -> None:
        """From now on, pack speakers and compute the trunk in `dtype`."""
        self.packs = True
        self.trunk.to(dtype)

    def embed(self, speakers: list[Tensor]) -> Tensor:
        """Embeddings (speakers, 192) of each speaker's filter banks (frames, 80)."""
        vectors = speakers[0].new_full((len(speakers), DIMENSION), torch.nan)
        embeddable = [number for number, frames in enumerate(speakers) if len(frames) >= MIN_FRAMES]
        centred = [speakers[number] - speakers[number].mean(dim=0) for number in embeddable]
        if self.packs:
            packs = pack_speakers([len(frames) for frames in centred])
            for batch in _batches(packs, one_by_one=vectors.device.type == "cpu"):
                for speaker, hidden in self._hidden(batch, centred):
                    vectors[embeddable[speaker]] = self._pool(hidden)
        else:
            for number, frames in zip(embeddable, centred, strict=True):
                ((_, hidden),) = self._hidden([pack_alone(len(frames))], [frames])
                vectors[number] = self._pool(hidden)
        return vectors

    def _hidden(self, packs: list[Pack], speakers: list[Tensor]) -> Iterator[tuple[int, Tensor]]:
        """The trunk's features of each speaker in `packs`, which are all of the same length."""
        weight = self.trunk.tdnn.weight
        filled = torch.stack([pack.fill(speakers) for pack in packs]).to(weight.dtype)
        for pack, hidden in zip(packs, self.trunk(filled, lay_out(packs, weight)), strict=True):
            for speaker, first, length in pack.rows:
                yield speaker, hidden[first : first + length].float()

    def _pool(self, hidden: Tensor) -> Tensor:
        embedding: Tensor = self.dense(torch.cat((hidden.mean(dim=0), hidden.std(dim=0))))
        return embedding


def _batches(packs: list[Pack], *, one_by_one: bool) -> list[list[Pack]]:
    """Batches of packs of the same length, or of one pack each."""
    if one_by_one:  # on a CPU a batch that fits the caches is faster
        return [[pack] for pack in packs]
    lengths = sorted({pack.frames for pack in packs})
    return [[pack for pack in packs if pack.frames == length] for length in lengths]
