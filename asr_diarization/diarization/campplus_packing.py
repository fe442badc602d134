"""Packing for CAM++: the frames of several speakers in one input, in inputs of few lengths.

oneDNN compiles its kernels for every new shape, which takes longer than computing one speaker's
frames, and a GPU that gets one speaker at a time waits for kernel launches. Gaps of zeros separate
the speakers in an input. The network zeroes the gaps again after every layer that sees neighbouring
frames, so that no speaker influences another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

FRAMES = 1000
"""Longest pack; a chunk of 10 s has 998 frames."""
STEP = 250
"""Lengths of packs are multiples of this."""
GAP = 4
"""Frames of 10 ms between speakers: a layer sees at most 2 frames of 20 ms to either side."""
SEGMENT_FRAMES = 100
"""A context-aware mask depends on the mean of such a segment, 2 s, and on that of the speaker."""


@dataclass(frozen=True)
class Pack:
    """The places of speakers in one input."""

    spans: tuple[tuple[int, int, int], ...]
    """Number of the speaker, first frame (an even one), number of frames."""
    frames: int
    """Length of the input."""

    @cached_property
    def rows(self) -> tuple[tuple[int, int, int], ...]:
        """`spans` in frames of 20 ms; odd lengths are rounded up."""
        return tuple(
            (speaker, first // 2, (length + 1) // 2) for speaker, first, length in self.spans
        )

    @cached_property
    def segments(self) -> Tensor:
        """Which rows belong to which segment of context: (segments, rows) of 0 and 1."""
        found = []
        for _, first, length in self.rows:
            for start in range(0, length, SEGMENT_FRAMES):
                segment = torch.zeros((self.frames + 1) // 2)
                segment[first + start : first + min(start + SEGMENT_FRAMES, length)] = 1.0
                found.append(segment)
        return torch.stack(found)

    @cached_property
    def means(self) -> Tensor:
        """(segments, rows): the weights of each segment's mean plus its speaker's mean."""
        segments = self.segments
        speakers = torch.zeros(len(self.spans), segments.shape[1])
        for speaker, (_, first, length) in zip(speakers, self.rows, strict=True):
            speaker[first : first + length] = 1.0 / length
        membership = (segments @ speakers.T > 0).float()
        return segments / segments.sum(dim=1, keepdim=True) + membership @ speakers

    def fill(self, speakers: Sequence[Tensor]) -> Tensor:
        """The input (frames, bins) from each speaker's frames."""
        filled = speakers[0].new_zeros(self.frames, speakers[0].shape[1])
        for speaker, first, length in self.spans:
            filled[first : first + length] = speakers[speaker]
        return filled

    def masks(self) -> tuple[Tensor, Tensor]:
        """Where speakers are, (frames) and (rows) of 0 and 1: 0 in gaps."""
        frames = torch.zeros(self.frames)
        for _, first, length in self.spans:
            frames[first : first + length] = 1.0
        return frames, self.segments.sum(dim=0)


def pack_alone(frames: int) -> Pack:
    """A pack of one speaker without a gap."""
    return Pack(((0, 0, frames),), frames)


def pack_speakers(lengths: Sequence[int]) -> list[Pack]:
    """Packs of all speakers: longest first, each into the first pack with room for it."""
    packs: list[list[tuple[int, int, int]]] = []
    ends: list[int] = []
    for speaker in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = lengths[speaker]
        fits = (number for number, end in enumerate(ends) if end + length <= FRAMES)
        chosen = next(fits, None)
        if chosen is None:
            chosen = len(packs)
            packs.append([])
            ends.append(0)
        packs[chosen].append((speaker, ends[chosen], length))
        ends[chosen] += length + length % 2 + GAP
    return [Pack(tuple(spans), -(-(spans[-1][1] + spans[-1][2]) // STEP) * STEP) for spans in packs]


@dataclass(frozen=True, slots=True)
class Layout:
    """Segments, means and masks of a batch of packs, which are all of the same length."""

    segments: Tensor
    """(batch, rows, segments)"""
    means: Tensor
    """(batch, segments, rows)"""
    frames: Tensor | None
    """Mask (batch, 1, 1, frames), 0 in gaps; None if there are no gaps."""
    rows: Tensor | None
    """Mask (batch, rows, 1); None if there are no gaps."""


def lay_out(packs: Sequence[Pack], like: Tensor) -> Layout:
    """The layout of `packs`, in the number type and on the device of `like`."""
    max_segments = max(len(pack.segments) for pack in packs)
    padded = [
        [functional.pad(x, (0, 0, 0, max_segments - len(x))) for x in (pack.segments, pack.means)]
        for pack in packs
    ]
    segments, means = (torch.stack(x).to(like) for x in zip(*padded, strict=True))
    if all(len(pack.spans) == 1 and pack.spans[0][2] == pack.frames for pack in packs):
        return Layout(segments.mT.contiguous(), means, None, None)
    frames, rows = (torch.stack(x).to(like) for x in zip(*(p.masks() for p in packs), strict=True))
    return Layout(segments.mT.contiguous(), means, frames[:, None, None], rows[..., None])
