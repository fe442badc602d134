"""Costs of speculative decoding on a GPU: bytes and operations per step, computed and not measured.

A pass moves the decoder's weights once, and each row's keys and values. It takes as long as the
slowest of moving, computing and launching its kernels. Efficiencies are 100 %, so the seconds are
lower bounds; only the ratios are meaningful.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.reports.tables import table

HALF = 2
"""Bytes of one float16 number."""
FRAMES = 1500
LENGTH = 100
"""Average number of tokens in a row's self-attention cache."""
LAUNCH_SECONDS = 5e-6
LAUNCHES_PER_LAYER = 24
"""Kernels that a decoder layer launches without CUDA graphs."""
LENGTHS = range(9)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU's data sheet: bytes per second, dense float16 operations per second."""

    name: str
    bandwidth: float
    operations: float


GPUS = (
    Gpu("L4", 300e9, 121e12),
    Gpu("A10G", 600e9, 70e12),
    Gpu("A100 80 GB", 1935e9, 312e12),
)


@dataclass(frozen=True, slots=True)
class DecoderSize:
    """A decoder of large-v3's width and vocabulary."""

    layers: int
    width: int = 1280
    vocabulary: int = 51866

    @property
    def parameters(self) -> int:
        """Parameters used in a pass; cross-attention keys and values are computed once before."""
        return self.layers * 14 * self.width**2 + self.vocabulary * self.width

    def bytes_moved(self, rows: int) -> float:
        """Bytes moved in one pass: weights, and the caches of every row."""
        caches = rows * self.layers * (FRAMES + LENGTH) * 2 * self.width
        return HALF * (self.parameters + caches)

    def operations(self, rows: int, new: int) -> float:
        """Operations of one pass over `new` positions of each row."""
        attention = self.layers * (FRAMES + LENGTH) * 2 * self.width
        return 2 * rows * new * (self.parameters + attention)

    def seconds(self, gpu: Gpu, rows: int, new: int, *, launch: bool) -> float:
        """Seconds of one pass."""
        moving = self.bytes_moved(rows) / gpu.bandwidth
        computing = self.operations(rows, new) / gpu.operations
        launching = self.layers * LAUNCHES_PER_LAYER * LAUNCH_SECONDS if launch else 0.0
        return max(moving, computing, launching)


LARGE, DISTIL = DecoderSize(32), DecoderSize(2)


def speedup(gpu: Gpu, rows: int, acceptance: float, *, launch: bool) -> tuple[float, int]:
    """Speed-up over unassisted decoding at the best draft length, and that length."""

    def rate(length: int) -> float:
        tokens = sum(acceptance**i for i in range(length + 1))
        draft = length * DISTIL.seconds(gpu, rows, 1, launch=launch)
        return tokens / (draft + LARGE.seconds(gpu, rows, length + 1, launch=launch))

    best = max(LENGTHS, key=rate)
    return rate(best) / rate(0), best


def cost_table() -> str:
    """large-v3 with distil-large-v3, float16, sharing the encoder."""
    rows = []
    for gpu in GPUS:
        for batch in (1, 4, 8, 24):
            passes = [
                LARGE.bytes_moved(batch) / 1e9,
                LARGE.operations(batch, 1) / 1e9,
                DISTIL.bytes_moved(batch) / 1e9,
                LARGE.seconds(gpu, batch, 1, launch=False) * 1e3,
                DISTIL.seconds(gpu, batch, 1, launch=False) * 1e3,
            ]
            gains = [speedup(gpu, batch, p, launch=launch) for launch in (False, True)
                     for p in (0.7, 0.9)]  # fmt: skip
            cells = [*(f"{one:.1f}" for one in passes), *(f"{g:.2f} (k={k})" for g, k in gains)]
            rows.append([gpu.name, str(batch), *cells])
    header = ["GPU", "batch", "large-v3 GB", "GFLOP", "distil GB", "large-v3 ms", "distil ms"]
    header += ["speed-up p=0.7", "p=0.9", "with launches p=0.7", "p=0.9"]
    intro = (
        "large-v3 with distil-large-v3 as its assistant in float16: bytes and operations of one "
        "pass over one position per row, from the architecture; times are the slower of the two by "
        "data sheet, so lower bounds. Speed-up of decoding at the best draft length k; in the last "
        f"two columns a pass also takes {LAUNCHES_PER_LAYER} kernel launches a layer of "
        f"{LAUNCH_SECONDS * 1e6:.0f} µs each. The encoder is not included."
    )
    return f"{intro}\n\n{table(header, rows)}"
