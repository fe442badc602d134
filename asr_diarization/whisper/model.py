"""Whisper's two networks as functions of its weights, made for decoding many windows at once.

Architecture: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision"
(arXiv 2212.04356), section 2.2. Compared with a general library's modules: query, key and value are
one product; keys and values of the encoder's output are computed once per window; self-attention
writes into a cache that is allocated once; every row of a batch has its own position.

Shapes: `rows` windows, `new` tokens per row in one call, `frames` of 20 ms, `width` the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_diarization.whisper.caches import MAX_DRAFT, Cache, Sound
from asr_diarization.whisper.precision import Linear, Precision, make_linear

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes of a Whisper checkpoint."""

    width: int
    heads: int
    encoder_heads: int
    encoder_layers: int
    decoder_layers: int
    mels: int
    vocabulary: int
    max_positions: int
    max_frames: int


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation over the last dimension."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """`x`, normalised."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


@dataclass(slots=True)
class Watched:
    """Heads of a layer, and where they have looked."""

    heads: list[int]
    attention: Tensor | None = None
    """(rows, heads, new, frames) of the last call."""


class _Loader:
    """Hands out layers by their name in the checkpoint, in the precision asked for."""

    def __init__(
        self, weights: Weights, device: torch.device, dtype: torch.dtype, *, int8: bool
    ) -> None:
        self._weights, self._device, self._dtype, self._int8 = weights, device, dtype, int8

    def tensor(self, name: str) -> Tensor:
        return self._weights[name].to(self._device, self._dtype)

    def norm(self, name: str) -> Norm:
        return Norm(self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))

    def linear(self, *names: str, scale: float = 1.0) -> Linear:
        """One map for all of `names`, their outputs side by side; the first is scaled."""
        parts = [self._weights[f"{name}.weight"].to(self._device).float() for name in names]
        biases = [self._bias(name, len(part)) for name, part in zip(names, parts, strict=True)]
        parts[0], biases[0] = parts[0] * scale, biases[0] * scale
        return make_linear(torch.cat(parts), torch.cat(biases), dtype=self._dtype, int8=self._int8)

    def _bias(self, name: str, size: int) -> Tensor:
        bias = self._weights.get(f"{name}.bias")  # Whisper's keys have none
        return (
            torch.zeros(size, device=self._device)
            if bias is None
            else bias.to(self._device).float()
        )


class _Attention:
    """Self-attention: one product for query, key and value; the scale is in the query's weights."""

    def __init__(self, load: _Loader, name: str, width: int, heads: int) -> None:
        self.norm = load.norm(f"{name}_layer_norm")
        scale = (width // heads) ** -0.5
        self.qkv = load.linear(*(f"{name}.{part}_proj" for part in "qkv"), scale=scale)
        self.out = load.linear(f"{name}.out_proj")


class _Feedforward:
    def __init__(self, load: _Loader, layer: str) -> None:
        self.norm = load.norm(f"{layer}.final_layer_norm")
        self.up, self.down = load.linear(f"{layer}.fc1"), load.linear(f"{layer}.fc2")

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Encoder:
    """Mel spectrogram to one vector per 20 ms."""

    def __init__(
        self, weights: Weights, size: Dimensions, device: torch.device, how: Precision
    ) -> None:
        load = _Loader(weights, device, how.encoder, int8=False)
        self._heads = size.encoder_heads
        self._convolutions = [
            (load.tensor(f"model.encoder.{c}.weight"), load.tensor(f"model.encoder.{c}.bias"))
            for c in ("conv1", "conv2")
        ]
        self._positions = load.tensor("model.encoder.embed_positions.weight")
        layers = [f"model.encoder.layers.{i}" for i in range(size.encoder_layers)]
        self._layers = [
            (
                _Attention(load, f"{n}.self_attn", size.width, size.encoder_heads),
                _Feedforward(load, n),
            )
            for n in layers
        ]
        self._norm = load.norm("model.encoder.layer_norm")

    def __call__(self, mels: Tensor) -> Tensor:
        """(rows, mels, 2 x frames) -> (rows, frames, width); `frames` may be less than 30 s."""
        x = mels.to(self._positions.dtype)
        for stride, (weight, bias) in enumerate(self._convolutions, start=1):
            x = F.gelu(F.conv1d(x, weight, bias, stride=stride, padding=1))
        x = x.transpose(1, 2)
        x = x + self._positions[: x.shape[1]]
        for attention, feedforward in self._layers:
            qkv = attention.qkv(attention.norm(x)).unflatten(-1, (3, self._heads, -1))
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0)
            x = x + attention.out(mixed.transpose(1, 2).flatten(2))
            x = feedforward(x)
        return self._norm(x)


class _DecoderLayer:
    def __init__(self, load: _Loader, name: str, size: Dimensions) -> None:
        self.own = _Attention(load, f"{name}.self_attn", size.width, size.heads)
        cross = f"{name}.encoder_attn"
        self.cross_norm = load.norm(f"{cross}_layer_norm")
        self.cross_query = load.linear(f"{cross}.q_proj", scale=(size.width // size.heads) ** -0.5)
        self.cross_memory = load.linear(f"{cross}.k_proj", f"{cross}.v_proj")
        self.cross_out = load.linear(f"{cross}.out_proj")
        self.feedforward = _Feedforward(load, name)


class Decoder:
    """Tokens and the encoder's output to the scores of the next token."""

    def __init__(
        self, weights: Weights, size: Dimensions, device: torch.device, how: Precision
    ) -> None:
        load = _Loader(weights, device, how.decoder, int8=how.int8)
        self.size, self.device, self._how = size, device, how
        self._embeddings = load.tensor("model.decoder.embed_tokens.weight")
        self._positions = load.tensor("model.decoder.embed_positions.weight")
        names = [f"model.decoder.layers.{i}" for i in range(size.decoder_layers)]
        self._layers = [_DecoderLayer(load, name, size) for name in names]
        self._norm = load.norm("model.decoder.layer_norm")
        self._vocabulary = make_linear(self._embeddings, None, dtype=how.decoder, int8=how.int8)

    def new_cache(self, encoded: Sequence[Tensor], positions: int | None = None) -> Cache:
        """A cache with a row for each of `encoded`, (frames, width) as the encoder gives them."""
        padded = pad_sequence(list(encoded), batch_first=True).to(self._how.decoder)
        kind = self._how.cross_attention
        keys, values = [], []
        for layer in self._layers:  # one by one: all at once would take the memory twice
            memory = layer.cross_memory(padded).to(kind).unflatten(-1, (2, self.size.heads, -1))
            key, value = memory.permute(2, 0, 3, 1, 4)
            keys.append(key.contiguous())
            values.append(value.contiguous())
        positions = (positions or self.size.max_positions) + MAX_DRAFT
        shape = (len(self._layers), len(padded), positions)
        own = padded.new_zeros(*shape, 2 * self.size.width)
        lengths = torch.tensor([len(row) for row in encoded], device=padded.device)
        is_behind = torch.arange(padded.shape[1], device=padded.device) >= lengths.unsqueeze(1)
        behind = torch.zeros(is_behind.shape, dtype=kind, device=padded.device)
        behind = behind.masked_fill_(is_behind, float("-inf"))[:, None, None]
        return Cache(own, keys, values, behind if is_behind.any() else None)

    def __call__(
        self,
        tokens: Tensor,
        positions: Tensor,
        cache: Cache,
        length: int,
        watch: Mapping[int, Watched] | None = None,
    ) -> Tensor:
        """What the decoder makes of new tokens, before the vocabulary: (rows, new, width).

        Args:
            tokens: (rows, new) ids; row i goes to cache row i.
            positions: (rows,) where each row's first new token stands.
            cache: written at the new positions.
            length: how much of the cache to look at; more than every row's last new position.
            watch: whose cross-attention is kept, by layer.
        """
        rows, new = tokens.shape
        places = positions.unsqueeze(1) + torch.arange(new, device=tokens.device)
        hidden_beyond = torch.arange(length, device=tokens.device) > places.unsqueeze(-1)
        mask = torch.zeros(hidden_beyond.shape, dtype=self._embeddings.dtype, device=tokens.device)
        mask = mask.masked_fill_(hidden_beyond, float("-inf")).unsqueeze(1)
        offsets = torch.arange(rows, device=tokens.device).unsqueeze(1) * cache.own.shape[2]
        slots = (offsets + places).flatten()
        known = places.clamp(max=self.size.max_positions - 1)
        x = self._embeddings[tokens] + self._positions[known]
        for i, layer in enumerate(self._layers):
            x = x + self._attend_own(layer, x, cache.own[i], slots, mask)
            sound = cache.sound(i, rows)
            x = x + self._attend_encoder(layer, x, sound, watch.get(i) if watch else None)
            x = layer.feedforward(x)
        return self._norm(x)

    def scores(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float32: (..., width) -> (..., vocabulary)."""
        return self._vocabulary(hidden).float()

    def _attend_own(
        self, layer: _DecoderLayer, x: Tensor, own: Tensor, slots: Tensor, mask: Tensor
    ) -> Tensor:
        rows, length = len(x), mask.shape[-1]
        q, kv = layer.own.qkv(layer.own.norm(x)).split(
            [self.size.width, 2 * self.size.width], dim=-1
        )
        own.view(-1, own.shape[-1]).index_copy_(0, slots, kv.flatten(0, 1))
        k, v = own[:rows, :length].unflatten(-1, (2, self.size.heads, -1)).permute(2, 0, 3, 1, 4)
        q = q.unflatten(-1, (self.size.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return layer.own.out(mixed.transpose(1, 2).flatten(2))

    def _attend_encoder(
        self, layer: _DecoderLayer, x: Tensor, sound: Sound, watched: Watched | None
    ) -> Tensor:
        q = (
            layer.cross_query(layer.cross_norm(x))
            .unflatten(-1, (self.size.heads, -1))
            .transpose(1, 2)
        )
        q = q.to(sound.keys.dtype)
        if watched is None and q.device.type != "cpu":
            mixed = F.scaled_dot_product_attention(
                q, sound.keys, sound.values, attn_mask=sound.behind, scale=1.0
            )
        else:  # a CPU's fused attention is slower than the two products when there are few queries
            scores = q @ sound.keys.transpose(-1, -2)
            if sound.behind is not None:
                scores += sound.behind
            attention = torch.softmax(scores, dim=-1)
            if watched is not None:
                watched.attention = attention[:, watched.heads]
            mixed = attention @ sound.values
        return layer.cross_out(mixed.to(x.dtype).transpose(1, 2).flatten(2))
