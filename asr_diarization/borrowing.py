"""Which local speakers need no vector of their own, because a neighbouring chunk's will do.

Chunks of 10 s that start every second hear each second ten times. Only every third is embedded;
whoever says nearly the same in a chunk between two of those gets the mean of their vectors, the
nearer counting more. That is tried on the answer: where a borrowed vector leaves doubt about whose
voice it is, the real one is computed, and where the voices of a recording are hard to tell apart at
all, everything is. Copying without that check changed turns of hard recordings at any threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EVERY = 3
"""One chunk in so many is embedded in any case."""
ALIKE = 0.6
"""Two local speakers say nearly the same: frames of both, as a share of the frames of either."""
SURE = 0.25
"""How much nearer, by cosine, the nearest voice must be than the second nearest."""
DOUBTFUL_SHARE = 10
"""Per cent of the local speakers that may be less than sure before everything is embedded."""
FEW = 12
"""A voice nearest to fewer local speakers is not established: what one is taken for moves it."""
LONE = 0.5
"""Stands for the second nearest voice when there is only one."""

Vectors = NDArray[np.float32]
"""(chunks, speakers, dimension); NaN where there is none."""
Speech = NDArray[np.float32]
"""(chunks, frames, speakers) of 0 and 1."""
Lenders = NDArray[np.intp]
"""(chunks, speakers, 2): whose vector to take in the embedded chunk before and the one after; -1
for nobody's."""


def find_lenders(speech: Speech, step: float) -> Lenders:
    """Who says nearly the same in the embedded chunks beside each other chunk.

    Args:
        speech: what each local speaker is known by.
        step: frames from the start of a chunk to the start of the next.
    """
    chunks, frames, speakers = speech.shape
    lenders = np.full((chunks, speakers, 2), -1, dtype=np.intp)
    said = speech.sum(axis=1)
    for chunk in range(chunks):
        for side, other in enumerate(_embedded_beside(chunk, chunks)):
            lag = round(abs(other - chunk) * step)
            early, late = min(chunk, other), max(chunk, other)
            both = speech[early, lag:].T @ speech[late, : frames - lag]
            both = both if early == chunk else both.T
            either = said[chunk][:, None] + said[other] - both
            alike = both / np.maximum(either, 1.0)
            lenders[chunk, :, side] = np.where(alike.max(axis=1) >= ALIKE, alike.argmax(axis=1), -1)
    return lenders


def _embedded_beside(chunk: int, chunks: int) -> tuple[int, ...]:
    before = chunk - chunk % EVERY
    return tuple(c for c in (before, before + EVERY) if c < chunks) if chunk != before else ()


def borrow(vectors: Vectors, lenders: Lenders) -> None:
    """Fill in the vectors of whoever has lenders."""
    for chunk, speaker in np.argwhere(lenders.max(axis=2) >= 0):
        total, weights = 0.0, 0.0
        for lender, other in zip(
            lenders[chunk, speaker], _embedded_beside(chunk, len(vectors)), strict=False
        ):
            if lender >= 0:
                weight = 1.0 / abs(other - chunk)
                total, weights = total + weight * vectors[other, lender], weights + weight
        vectors[chunk, speaker] = total / weights


def doubtful(vectors: Vectors, centroids: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whose voice is not surely that of one centroid: (chunks, speakers).

    All, if that goes for many, or if somebody is hardly heard.
    """
    active: NDArray[np.bool_] = np.isfinite(vectors[..., 0])
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    cosines = unit @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T
    heard = np.bincount(cosines[active].argmax(axis=1), minlength=len(centroids))
    cosines = np.sort(cosines)
    second = cosines[..., -2] if len(centroids) > 1 else LONE
    margins = cosines[..., -1] - second
    # Also when it is NaN.
    if heard.min() < FEW or not np.percentile(margins[active], DOUBTFUL_SHARE) >= SURE:
        return active
    unsure: NDArray[np.bool_] = active & ~(margins >= SURE)
    return unsure
