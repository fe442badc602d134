"""Whisper's encoder and decoder, for many windows at once.

Architecture: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision"
(arXiv 2212.04356), section 2.2. Differences from transformers' modules: query, key and value are
one product; cross-attention keys and values are computed once per window; self-attention writes
into a cache that is allocated once; every row of a batch has its own position.

Shapes: `rows` windows, `new` tokens per row in one call, `frames` of 20 ms, `width` the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_diarization.whisper.caches import MAX_DRAFT, Cache, CrossAttention
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
class RecordedHeads:
    """Heads of a layer whose cross-attention weights are kept."""

    heads: list[int]
    weights: Tensor | None = None
    """(rows, heads, new, frames) of the last call."""


class _Loader:
    """Builds layers from a checkpoint's tensors, in the precision wanted."""

    def __init__(
        self, weights: Weights, device: torch.device, dtype: torch.dtype, *, int8: bool
    ) -> None:
        self._weights, self._device, self._dtype, self._int8 = weights, device, dtype, int8

    def tensor(self, name: str) -> Tensor:
        return self._weights[name].to(self._device, self._dtype)

    def norm(self, name: str) -> Norm:
        return Norm(self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))

    def linear(self, *names: str, scale: float = 1.0) -> Linear:
        """One affine map for all of `names`, outputs side by side; `scale` applies to the first."""
        weights = [self._weights[f"{name}.weight"].to(self._device).float() for name in names]
        biases = [self._bias(name, len(w)) for name, w in zip(names, weights, strict=True)]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        weight, bias = torch.cat(weights), torch.cat(biases)
        return make_linear(weight, bias, dtype=self._dtype, int8=self._int8)

    def _bias(self, name: str, size: int) -> Tensor:
        bias = self._weights.get(f"{name}.bias")  # Whisper's keys have none
        return (
            torch.zeros(size, device=self._device)
            if bias is None
            else bias.to(self._device).float()
        )


class _SelfAttention:
    """Weights of self-attention; query, key and value are one product, the query is scaled."""

    def __init__(self, loader: _Loader, name: str, width: int, heads: int) -> None:
        self.norm = loader.norm(f"{name}_layer_norm")
        scale = (width // heads) ** -0.5
        self.qkv = loader.linear(*(f"{name}.{part}_proj" for part in "qkv"), scale=scale)
        self.out = loader.linear(f"{name}.out_proj")


class _Feedforward:
    def __init__(self, loader: _Loader, layer: str) -> None:
        self.norm = loader.norm(f"{layer}.final_layer_norm")
        self.up, self.down = loader.linear(f"{layer}.fc1"), loader.linear(f"{layer}.fc2")

    def __call__(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Encoder:
    """Mel spectrogram to one vector per 20 ms."""

    def __init__(
        self, weights: Weights, size: Dimensions, device: torch.device, precision: Precision
    ) -> None:
        loader = _Loader(weights, device, precision.encoder, int8=False)
        self._heads = size.encoder_heads
        self._convolutions = [
            (loader.tensor(f"model.encoder.{c}.weight"), loader.tensor(f"model.encoder.{c}.bias"))
            for c in ("conv1", "conv2")
        ]
        self._positions = loader.tensor("model.encoder.embed_positions.weight")
        layers = [f"model.encoder.layers.{i}" for i in range(size.encoder_layers)]
        self._layers = [
            (
                _SelfAttention(loader, f"{n}.self_attn", size.width, size.encoder_heads),
                _Feedforward(loader, n),
            )
            for n in layers
        ]
        self._norm = loader.norm("model.encoder.layer_norm")

    def __call__(self, mels: Tensor) -> Tensor:
        """(rows, mels, 2 x frames) -> (rows, frames, width); `frames` may be less than 30 s."""
        x = mels.to(self._positions.dtype)
        for stride, (weight, bias) in enumerate(self._convolutions, start=1):
            x = F.gelu(F.conv1d(x, weight, bias, stride=stride, padding=1))
        x = x.transpose(1, 2)
        x = x + self._positions[: x.shape[1]]
        for attention, feedforward in self._layers:
            qkv = torch.unflatten(attention.qkv(attention.norm(x)), -1, (3, self._heads, -1))
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            attended = F.scaled_dot_product_attention(q, k, v, scale=1.0)
            x = x + attention.out(attended.transpose(1, 2).flatten(2))
            x = feedforward(x)
        return self._norm(x)


class _DecoderLayer:
    def __init__(self, loader: _Loader, name: str, size: Dimensions) -> None:
        self.self_attention = _SelfAttention(loader, f"{name}.self_attn", size.width, size.heads)
        cross = f"{name}.encoder_attn"
        scale = (size.width // size.heads) ** -0.5
        self.cross_norm = loader.norm(f"{cross}_layer_norm")
        self.cross_query = loader.linear(f"{cross}.q_proj", scale=scale)
        self.cross_keys_values = loader.linear(f"{cross}.k_proj", f"{cross}.v_proj")
        self.cross_out = loader.linear(f"{cross}.out_proj")
        self.feedforward = _Feedforward(loader, name)


class Decoder:
    """Tokens and the encoder's output to the logits of the next token."""

    def __init__(
        self, weights: Weights, size: Dimensions, device: torch.device, precision: Precision
    ) -> None:
        dtype, int8 = precision.decoder, precision.int8
        loader = _Loader(weights, device, dtype, int8=int8)
        self.size, self.device, self._dtype = size, device, dtype
        self._embeddings = loader.tensor("model.decoder.embed_tokens.weight")
        self._positions = loader.tensor("model.decoder.embed_positions.weight")
        names = [f"model.decoder.layers.{i}" for i in range(size.decoder_layers)]
        self._layers = [_DecoderLayer(loader, name, size) for name in names]
        self._norm = loader.norm("model.decoder.layer_norm")
        self._vocabulary = make_linear(self._embeddings, None, dtype=dtype, int8=int8)

    def new_cache(self, encoded: Sequence[Tensor], positions: int | None = None) -> Cache:
        """A cache with a row for each of `encoded`, (frames, width) as the encoder gives them."""
        padded = pad_sequence(list(encoded), batch_first=True).to(self._dtype)
        keys, values = [], []
        for layer in self._layers:  # one by one: all at once would take the memory twice
            projected = layer.cross_keys_values(padded)
            keys_values = torch.unflatten(projected, -1, (2, self.size.heads, -1))
            key, value = keys_values.permute(2, 0, 3, 1, 4)
            keys.append(key.contiguous())
            values.append(value.contiguous())
        positions = (positions or self.size.max_positions) + MAX_DRAFT
        shape = (len(self._layers), len(padded), positions)
        self_attention = padded.new_zeros(*shape, 2 * self.size.width)
        lengths = torch.tensor([len(row) for row in encoded], device=padded.device)
        is_padding = torch.arange(padded.shape[1], device=padded.device) >= lengths.unsqueeze(1)
        mask = self._mask(is_padding)[:, None, None] if is_padding.any() else None
        return Cache(self_attention, keys, values, mask)

    def __call__(
        self,
        tokens: Tensor,
        positions: Tensor,
        cache: Cache,
        length: int,
        recorded: Mapping[int, RecordedHeads] | None = None,
    ) -> Tensor:
        """Hidden states of new tokens, before the vocabulary: (rows, new, width).

        Args:
            tokens: (rows, new) ids; row i goes to cache row i.
            positions: (rows,) position of each row's first new token.
            cache: written at the new positions.
            length: how much of the cache is read; more than every row's last new position.
            recorded: heads whose cross-attention weights are kept, by layer.
        """
        rows, new = tokens.shape
        new_positions = positions.unsqueeze(1) + torch.arange(new, device=tokens.device)
        is_future = torch.arange(length, device=tokens.device) > new_positions.unsqueeze(-1)
        causal_mask = self._mask(is_future).unsqueeze(1)
        capacity = cache.self_attention.shape[2]
        offsets = torch.arange(rows, device=tokens.device).unsqueeze(1) * capacity
        slots = (offsets + new_positions).flatten()
        embedded_positions = new_positions.clamp(max=self.size.max_positions - 1)
        x = self._embeddings[tokens] + self._positions[embedded_positions]
        for i, layer in enumerate(self._layers):
            x = x + self._self_attention(layer, x, cache.self_attention[i], slots, causal_mask)
            cross = cache.cross_attention(i, rows)
            x = x + self._cross_attention(layer, x, cross, recorded.get(i) if recorded else None)
            x = layer.feedforward(x)
        return self._norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits over the vocabulary, float32: (..., width) -> (..., vocabulary)."""
        return self._vocabulary(hidden).float()

    def _mask(self, is_masked: Tensor) -> Tensor:
        """Minus infinity where `is_masked`, else 0."""
        mask = torch.zeros(is_masked.shape, dtype=self._dtype, device=is_masked.device)
        return mask.masked_fill_(is_masked, float("-inf"))

    def _self_attention(
        self, layer: _DecoderLayer, x: Tensor, cached: Tensor, slots: Tensor, mask: Tensor
    ) -> Tensor:
        rows, length = len(x), mask.shape[-1]
        attention, heads = layer.self_attention, self.size.heads
        projected = attention.qkv(attention.norm(x))
        q, kv = torch.split(projected, [self.size.width, 2 * self.size.width], dim=-1)
        cached.view(-1, cached.shape[-1]).index_copy_(0, slots, kv.flatten(0, 1))
        keys_values = torch.unflatten(cached[:rows, :length], -1, (2, heads, -1))
        k, v = keys_values.permute(2, 0, 3, 1, 4)
        q = torch.unflatten(q, -1, (heads, -1)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return attention.out(attended.transpose(1, 2).flatten(2))

    def _cross_attention(
        self, layer: _DecoderLayer, x: Tensor, cross: CrossAttention, recorded: RecordedHeads | None
    ) -> Tensor:
        q = torch.unflatten(layer.cross_query(layer.cross_norm(x)), -1, (self.size.heads, -1))
        q = q.transpose(1, 2)
        mask = cross.padding_mask
        if recorded is None and q.device.type != "cpu":
            attended = F.scaled_dot_product_attention(
                q, cross.keys, cross.values, attn_mask=mask, scale=1.0
            )
        else:  # a CPU's fused attention is slower than two products when there are few queries
            logits = q @ cross.keys.transpose(-1, -2)
            if mask is not None:
                logits += mask
            weights = torch.softmax(logits, dim=-1)
            if recorded is not None:
                recorded.weights = weights[:, recorded.heads]
            attended = weights @ cross.values
        return layer.cross_out(attended.transpose(1, 2).flatten(2))
