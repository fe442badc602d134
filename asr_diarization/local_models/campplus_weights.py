"""Converts 3D-Speaker's CAM++ checkpoint to `campplus.CAMPPlus`, with folded batch norms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from asr_diarization.diarization.campplus import BLOCKS

EPSILON = 1e-5
"""PyTorch's default for batch norms, with which the model was trained."""

State = Mapping[str, Tensor]
Parts = Iterator[tuple[str, Tensor]]


def fold_campplus(state: State) -> dict[str, Tensor]:
    """The weights of `campplus.CAMPPlus`, made from 3D-Speaker's."""
    folded = {f"trunk.{name}": tensor.contiguous() for name, tensor in _fold_trunk(state)}
    dense, norm = "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm"
    for name, tensor in _fold_after(state, dense, norm, "dense"):
        folded[name] = tensor.squeeze(-1)
    return folded


def _fold_trunk(state: State) -> Parts:
    yield from _fold_head(state)
    yield from _fold_after(state, "xvector.tdnn.linear", "xvector.tdnn.nonlinear.batchnorm", "tdnn")
    for number, (layers, _) in enumerate(BLOCKS):
        old, new = f"xvector.block{number + 1}", f"blocks.{number}"
        for layer in range(layers):
            yield from _fold_layer(state, f"{old}.tdnnd{layer + 1}", f"{new}.layers.{layer}")
        yield from _fold_transit(state, number, new)


def _fold_head(state: State) -> Parts:
    for number in (1, 2):
        yield from _fold_after(
            state, f"head.conv{number}", f"head.bn{number}", f"head.conv{number}"
        )
        for block in (0, 1):
            inner = f"head.layer{number}.{block}"
            for conv in (1, 2):
                yield from _fold_after(
                    state, f"{inner}.conv{conv}", f"{inner}.bn{conv}", f"{inner}.conv{conv}"
                )
        first = f"head.layer{number}.0.shortcut"
        yield from _fold_after(state, f"{first}.0", f"{first}.1", first)


def _fold_layer(state: State, old: str, new: str) -> Parts:
    scale, shift = _affine(state, f"{old}.nonlinear1.batchnorm")
    yield from _rectify(scale, shift, new)
    weight, bias = _fold_before(state[f"{old}.linear1.weight"], scale, shift)
    outer, offset = _affine(state, f"{old}.nonlinear2.batchnorm")
    yield f"{new}.narrow.weight", weight * outer[:, None, None]
    yield f"{new}.narrow.bias", bias * outer + offset
    yield f"{new}.local.weight", state[f"{old}.cam_layer.linear_local.weight"]
    for number in (1, 2):
        for part in ("weight", "bias"):
            source = f"{old}.cam_layer.linear{number}.{part}"
            yield f"{new}.context{number}.{part}", state[source]


def _fold_transit(state: State, number: int, new: str) -> Parts:
    old = f"xvector.transit{number + 1}"
    scale, shift = _affine(state, f"{old}.nonlinear.batchnorm")
    yield from _rectify(scale, shift, new)
    weight, bias = _fold_before(state[f"{old}.linear.weight"], scale, shift)
    if number == len(BLOCKS) - 1:
        outer, offset = _affine(state, "xvector.out_nonlinear.batchnorm")
        weight, bias = weight * outer[:, None, None], bias * outer + offset
    yield f"{new}.transit.weight", weight
    yield f"{new}.transit.bias", bias


def _affine(state: State, norm: str) -> tuple[Tensor, Tensor]:
    """Scale and shift of a trained batch norm."""
    deviation = (state[f"{norm}.running_var"] + EPSILON).sqrt()
    scale = state.get(f"{norm}.weight", torch.ones_like(deviation)) / deviation
    bias = state.get(f"{norm}.bias", torch.zeros_like(deviation))
    return scale, bias - state[f"{norm}.running_mean"] * scale


def _fold_after(state: State, linear: str, norm: str, new: str) -> Parts:
    """Fold a batch norm into the linear layer before it."""
    weight = state[f"{linear}.weight"]
    scale, shift = _affine(state, norm)
    yield f"{new}.weight", weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
    yield f"{new}.bias", shift


def _fold_before(weight: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer with the scale and shift before it folded in."""
    return weight * scale[:, None], (weight[..., 0] * shift).sum(dim=1)


def _rectify(scale: Tensor, shift: Tensor, new: str) -> Parts:
    bound = (-shift / scale)[:, None]
    rising = scale[:, None] > 0
    infinity = torch.full_like(bound, torch.inf)
    yield f"{new}.rectify.low", torch.where(rising, bound, -infinity)
    yield f"{new}.rectify.high", torch.where(rising, infinity, bound)
