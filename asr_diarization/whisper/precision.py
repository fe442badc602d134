"""The number types that the speech model computes with, and the matrix products in each of them.

The speed of a decoder on a CPU is that of its memory: int8 moves a quarter of float32's bytes.
`int8` here means weights quantised once per output channel, activations per vector, sums in int32,
and float32 between two products (FBGEMM). torch's dynamic linear has one scale for a whole call;
there the row of a batch with the largest activations would leave the others few steps. The
measurements are in docs/performance.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from asr_diarization.devices import has_bfloat16, has_int8
from asr_diarization.errors import ModelLoadError

MAX_WEIGHT = 127
HAS_VNNI = bool(torch.cpu._is_vnni_supported())  # noqa: SLF001  no public name
MAX_ACTIVATION, ZERO_POINT = (127, 128) if HAS_VNNI else (63, 64)
"""Activations between -1 and 1 become bytes around `ZERO_POINT`. Processors without VNNI add pairs
of products in 16 bits. Whole bytes would overflow there, so half of the range is used."""

Linear = Callable[[Tensor], Tensor]
"""An affine map of the last dimension."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Number types of encoder and decoder, and whether the decoder's products are int8."""

    name: str
    encoder: torch.dtype
    decoder: torch.dtype
    int8: bool = False
    """The encoder's products are never int8: that costs words (docs/performance.md)."""


FLOAT32 = Precision("float32", torch.float32, torch.float32)
BFLOAT16 = Precision("bfloat16", torch.bfloat16, torch.bfloat16)
FLOAT16 = Precision("float16", torch.float16, torch.float16)
INT8 = Precision("int8", torch.float32, torch.float32, int8=True)


def choose_precision(setting: str, device: torch.device) -> Precision:
    """The precision of a setting on `device`; `auto` is the fastest that keeps the words.

    Raises:
        ModelLoadError: the device cannot compute like that.
    """
    if setting == "auto":
        setting = "float16" if device.type != "cpu" else "int8" if has_int8() else "float32"
    if setting == "int8" and (device.type != "cpu" or not has_int8()):
        raise ModelLoadError(f"PRECISION=int8 runs on x86 CPUs only, not on {device}; use auto")
    if setting == "float16" and device.type == "cpu":
        raise ModelLoadError("PRECISION=float16 is for accelerators; on a CPU use auto or bfloat16")
    if setting == "bfloat16" and device.type == "mps":
        raise ModelLoadError("PRECISION=bfloat16 does not run on MPS; use auto, float16 or float32")
    if setting == "int8" and has_bfloat16():
        return replace(INT8, encoder=torch.bfloat16)
    return {p.name: p for p in (FLOAT32, BFLOAT16, FLOAT16, INT8)}[setting]


def make_linear(weight: Tensor, bias: Tensor | None, *, dtype: torch.dtype, int8: bool) -> Linear:
    """The affine map `x @ weight.T + bias`, its (out, in) weights kept as `dtype` or int8."""
    if int8:
        return _int8_linear(weight.float(), None if bias is None else bias.float())
    weight = weight.to(dtype).contiguous()
    bias = None if bias is None else bias.to(dtype)
    return lambda x: F.linear(x, weight, bias)


def _int8_linear(weight: Tensor, bias: Tensor | None) -> Linear:
    scales = (weight.abs().amax(dim=1) / MAX_WEIGHT).clamp(min=1e-12)
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that quantised tensors will move
        quantised = torch.quantize_per_channel(weight, scales.double(), zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, None)
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32

    def linear(x: Tensor) -> Tensor:
        scale = x.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-9)
        y: Tensor = multiply(x / scale, 1 / MAX_ACTIVATION, ZERO_POINT, packed)
        return y.mul_(scale) if bias is None else torch.addcmul(bias, y, scale)

    return linear
