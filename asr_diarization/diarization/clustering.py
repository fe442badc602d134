"""Which voices are one person's: pyannote's clustering, and what a given number of speakers does.

pyannote meets a given number at any price: it lets voices count as speakers only from a size that
short recordings do not have, and cuts through somebody's voice to make up for it. Who knows how
many people talk does not want that. Here a given number keeps the largest voices of the cut that is
made without one, however small, and the others join the nearest; only when there are too few
voices is the cut made finer, within reason (docs/quality.md has the gain).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist

from asr_diarization.config import InferenceConfig

MAX_CLUSTERED_CHUNKS = 3600
"""Clustering compares all pairs: at one chunk a second, an hour; longer recordings are thinned."""
FINEST = 0.8
"""A given number makes the cut finer down to this share of the pipeline's threshold."""

Vectors = NDArray[np.float32]
Labels = NDArray[np.intp]


def cluster(
    pipeline: Any, embeddings: Vectors, binary: Any, parameters: InferenceConfig
) -> tuple[NDArray[np.int8], Vectors]:
    """Which global speaker each local one is: (chunks, speakers), and their centroids.

    Long recordings: every n-th chunk is clustered, and everybody joins the nearest centroid, as
    pyannote does with all chunks.
    """
    from pyannote.core import SlidingWindowFeature

    fewest, most = parameters.speaker_bounds
    thinned = slice(None, None, math.ceil(len(embeddings) / MAX_CLUSTERED_CHUNKS))
    clusters, _, centroids = pipeline.clustering(
        embeddings=embeddings[thinned].copy(),
        segmentations=SlidingWindowFeature(binary.data[thinned], binary.sliding_window),
        num_clusters=parameters.num_speakers,
        min_clusters=fewest,
        max_clusters=most,
        frames=None,
    )
    if len(clusters) != len(embeddings):
        clusters = _nearest(embeddings, centroids)
    return clusters, centroids


def _nearest(embeddings: Vectors, centroids: Vectors) -> NDArray[np.int8]:
    """The most similar centroid, by cosine, of every vector."""
    vectors = np.nan_to_num(embeddings)
    similarity = vectors @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T
    nearest: NDArray[np.int8] = similarity.argmax(axis=2).astype(np.int8)
    return nearest


def respect_given_numbers(clustering: Any) -> None:
    """Let pyannote's agglomerative clustering by centroids treat a given number as above.

    Other kinds stay as they are.
    """
    is_known = type(clustering).__name__ == "AgglomerativeClustering"
    if is_known and (clustering.metric, clustering.method) == ("cosine", "centroid"):
        clustering.cluster = GivenNumber(clustering)


class GivenNumber:
    """`AgglomerativeClustering.cluster`, but for what it does with a given number."""

    def __init__(self, clustering: Any) -> None:
        self._clustering, self._open = clustering, clustering.cluster

    def __call__(
        self,
        embeddings: Vectors,
        min_clusters: int,
        max_clusters: float,
        num_clusters: int | None = None,
    ) -> Labels:
        """A label from 0 for each of the vectors, (vectors, dimension)."""
        labels: Labels = self._open(embeddings.copy(), min_clusters=1, max_clusters=len(embeddings))
        found = labels.max() + 1
        wanted = num_clusters or int(min(max(found, min_clusters), max_clusters))
        if found == wanted or len(embeddings) == 1:
            return labels
        return largest_voices(embeddings, wanted, self._clustering.threshold)


def largest_voices(embeddings: Vectors, wanted: int, threshold: float) -> Labels:
    """Labels from 0 of at most `wanted` voices.

    Args:
        embeddings: (vectors, dimension), at least two.
        wanted: how many voices to look for.
        threshold: distance between unit vectors' centroids at which voices are told apart.
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    tree = linkage(unit, method="centroid", metric="euclidean")
    cuts = (fcluster(tree, height, criterion="distance") for height in _heights(tree, threshold))
    voices = next((cut for cut in cuts if cut.max() >= wanted), None)
    if voices is None:
        voices = fcluster(tree, threshold, criterion="distance")
    names, sizes = np.unique(voices, return_counts=True)
    names = names[np.argsort(-sizes, kind="stable")]
    centroids = np.stack([unit[voices == name].mean(axis=0) for name in names])
    nearest = cdist(centroids, centroids[:wanted], metric="cosine").argmin(axis=1)
    nearest[:wanted] = np.arange(len(centroids[:wanted]))
    label_of = dict(zip(names.tolist(), nearest.tolist(), strict=True))
    return np.array([label_of[voice] for voice in voices.tolist()], dtype=np.intp)


def _heights(tree: NDArray[np.float64], threshold: float) -> list[float]:
    """Where to cut: at the threshold, then below each merge from there to the finest."""
    merges = np.unique(tree[:, 2])[::-1]
    finer = merges[(merges <= threshold) & (merges > FINEST * threshold)]
    return [threshold, *np.nextafter(finer, 0.0).tolist()]
