"""Cosine similarity of speaker embeddings."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

MIN_NORM = 1e-9
"""Shorter vectors have no direction: they stay as good as zero."""


def unit_vectors(vectors: NDArray[Real]) -> NDArray[Real]:
    """`vectors` (..., dimension) scaled to length 1; NaN stays NaN."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[Real] = vectors / np.maximum(norms, MIN_NORM)
    return unit


def cosine_similarity(vectors: NDArray[Real], others: NDArray[Real]) -> NDArray[Real]:
    """Each of `vectors` (..., dimension) against each of `others` (number, dimension).

    Returns:
        (..., number), in [-1, 1]; 0 for a vector of zeros, NaN for one with NaN.
    """
    similarity: NDArray[Real] = unit_vectors(vectors) @ unit_vectors(others).T
    return similarity
