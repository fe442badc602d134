"""Several speakers' frames behind each other in inputs of few lengths, so that CAM++ is quick.

oneDNN compiles its kernels for every shape it meets, which takes longer than a speaker's frames do,
and a GPU waits for launches, one speaker at a time. What parts the speakers is a gap of zeros; the
network zeroes it again after every layer that looks beside itself, so that nobody hears anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

FRAMES = 1000
"""Of a pack: a chunk of 10 s has 998."""
STEP = 250
"""The last pack may be shorter, by multiples of this."""
GAP = 4
"""As far as a layer looks: 2 frames of 20 ms."""
SEGMENT_FRAMES = 100
"""How much context a context-aware mask sees beside the whole: 2 s of frames, 20 ms each."""


@dataclass(frozen=True)
class Pack:
    """Who lies where in one input."""

    spans: tuple[tuple[int, int, int], ...]
    """Number of the speaker, first frame (an even one), frames."""
    frames: int
    """Of the input."""

    @cached_property
    def rows(self) -> tuple[tuple[int, int, int], ...]:
        """`spans` in frames of 20 ms, of which an odd length gets one more."""
        return tuple((who, first // 2, (length + 1) // 2) for who, first, length in self.spans)

    @cached_property
    def segments(self) -> Tensor:
        """Which rows belong to which stretch of context: (segments, rows) of 0 and 1."""
        found = []
        for _, first, length in self.rows:
            for start in range(0, length, SEGMENT_FRAMES):
                segment = torch.zeros((self.frames + 1) // 2)
                segment[first + start : first + min(start + SEGMENT_FRAMES, length)] = 1.0
                found.append(segment)
        return torch.stack(found)

    @cached_property
    def means(self) -> Tensor:
        """(segments, rows): what gives the mean of each segment plus that of its speaker."""
        segments = self.segments
        speakers = torch.zeros(len(self.spans), segments.shape[1])
        for speaker, (_, first, length) in zip(speakers, self.rows, strict=True):
            speaker[first : first + length] = 1.0 / length
        mine = (segments @ speakers.T > 0).float()
        return segments / segments.sum(dim=1, keepdim=True) + mine @ speakers

    def fill(self, speakers: Sequence[Tensor]) -> Tensor:
        """The input (frames, bins) from each speaker's frames."""
        filled = speakers[0].new_zeros(self.frames, speakers[0].shape[1])
        for who, first, length in self.spans:
            filled[first : first + length] = speakers[who]
        return filled

    def audible(self) -> tuple[Tensor, Tensor]:
        """Where somebody speaks: (frames) and (rows) of 0 and 1."""
        frames = torch.zeros(self.frames)
        for _, first, length in self.spans:
            frames[first : first + length] = 1.0
        return frames, self.segments.sum(dim=0)


def pack_alone(frames: int) -> Pack:
    """One speaker, no gap."""
    return Pack(((0, 0, frames),), frames)


def pack_speakers(lengths: Sequence[int]) -> list[Pack]:
    """As few inputs as can easily be had, the longest speakers placed first."""
    packs: list[list[tuple[int, int, int]]] = []
    ends: list[int] = []
    for who in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = lengths[who]
        fits = (number for number, end in enumerate(ends) if end + length <= FRAMES)
        chosen = next(fits, None)
        if chosen is None:
            chosen = len(packs)
            packs.append([])
            ends.append(0)
        packs[chosen].append((who, ends[chosen], length))
        ends[chosen] += length + length % 2 + GAP
    return [Pack(tuple(spans), -(-(spans[-1][1] + spans[-1][2]) // STEP) * STEP) for spans in packs]


@dataclass(frozen=True, slots=True)
class Layout:
    """What a network must know of the packs of a batch, all of the same length."""

    segments: Tensor
    """(batch, rows, segments)"""
    means: Tensor
    """(batch, segments, rows)"""
    frames: Tensor | None
    """(batch, 1, 1, frames), 0 in gaps; nothing if there are none."""
    rows: Tensor | None
    """(batch, rows, 1), likewise."""


def lay_out(packs: Sequence[Pack], like: Tensor) -> Layout:
    """For a network whose numbers are of the type and on the device of `like`."""
    most = max(len(pack.segments) for pack in packs)
    padded = [
        [functional.pad(x, (0, 0, 0, most - len(x))) for x in (pack.segments, pack.means)]
        for pack in packs
    ]
    segments, means = (torch.stack(x).to(like) for x in zip(*padded, strict=True))
    if all(len(pack.spans) == 1 and pack.spans[0][2] == pack.frames for pack in packs):
        return Layout(segments.mT.contiguous(), means, None, None)
    frames, rows = (
        torch.stack(x).to(like) for x in zip(*(p.audible() for p in packs), strict=True)
    )
    return Layout(segments.mT.contiguous(), means, frames[:, None, None], rows[..., None])
