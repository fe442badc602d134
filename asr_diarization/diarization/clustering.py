"""Clustering of local speakers: pyannote's, with two differences.

pyannote meets a given number at any price: a cluster counts as a speaker only from a size that
short recordings do not have, and clusters of one voice are split to make up for it. Here a given
number keeps the largest clusters of the cut that is made without a number, however small they are,
and the other clusters join the nearest one. When there are too few clusters, the cut is made finer:
the caller knows how many people talk. With or without a number, a cluster in which the segmentation
hears two people is split (`cannot_link`). docs/quality.md has the gains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from asr_diarization.config import InferenceConfig
from asr_diarization.diarization.cannot_link import split_clusters
from asr_diarization.diarization.similarity import cosine_similarity, unit_vectors

MAX_CLUSTERED_CHUNKS = 3600
"""Clustering compares all pairs. At one chunk a second this is an hour; of longer recordings, only
every n-th chunk is clustered."""

Vectors = NDArray[np.float32]
Labels = NDArray[np.intp]


def cluster(
    pipeline: Any,
    embeddings: Vectors,
    binary: Any,
    seconds: NDArray[np.float64],
    parameters: InferenceConfig,
) -> tuple[NDArray[np.int8], Vectors]:
    """The global speaker of each local one, (chunks, speakers), and the speakers' centroids.

    In long recordings every n-th chunk is clustered; all join the nearest centroid, as in pyannote.

    Args:
        pipeline: pyannote's.
        embeddings: (chunks, speakers, dimension); NaN where there is none.
        binary: who speaks when.
        seconds: (chunks, speakers): the speech that each vector was computed from.
        parameters: of the request.
    """
    from pyannote.core import SlidingWindowFeature

    min_speakers, max_speakers = parameters.speaker_bounds
    thinned = slice(None, None, math.ceil(len(embeddings) / MAX_CLUSTERED_CHUNKS))
    segmentations = SlidingWindowFeature(binary.data[thinned], binary.sliding_window)
    enough, _, _ = pipeline.clustering.filter_embeddings(embeddings[thinned], segmentations)
    if len(enough) < min_speakers:
        return cluster_all(embeddings, min_speakers)
    clusters, _, centroids = pipeline.clustering(
        embeddings=embeddings[thinned].copy(),
        segmentations=segmentations,
        num_clusters=parameters.num_speakers,
        min_clusters=min_speakers,
        max_clusters=max_speakers,
        frames=None,
    )
    if len(clusters) != len(embeddings):
        clusters = _nearest(embeddings, centroids)
    is_known = isinstance(getattr(pipeline.clustering, "cluster", None), GivenNumberClustering)
    split = split_clusters(embeddings, seconds, clusters, max_speakers) if is_known else None
    return split or (clusters, centroids)


def cluster_all(embeddings: Vectors, wanted: int) -> tuple[NDArray[np.int8], Vectors]:
    """As `cluster`, where so little is said that pyannote would cluster nothing.

    Args:
        embeddings: (chunks, speakers, dimension); NaN where there is none.
        wanted: how many clusters to make, if there are as many vectors.
    """
    active = np.isfinite(embeddings).all(axis=2)
    clusters = np.zeros(active.shape, dtype=np.int8)
    if not active.any():
        return clusters, np.full((1, embeddings.shape[2]), np.nan, dtype=np.float32)
    vectors = embeddings[active]
    if wanted > 1 and len(vectors) > 1:
        clusters[active] = largest_clusters(vectors, wanted, math.inf)
    labels = clusters[active]
    centroids = [vectors[labels == label].mean(axis=0) for label in range(labels.max() + 1)]
    return clusters, np.stack(centroids)


def _nearest(embeddings: Vectors, centroids: Vectors) -> NDArray[np.int8]:
    """The most similar centroid of every embedding; the first one for embeddings of NaN."""
    similarity = cosine_similarity(embeddings, centroids)
    nearest: NDArray[np.int8] = similarity.argmax(axis=2).astype(np.int8)
    return nearest


def keep_given_number(clustering: Any) -> None:
    """Let pyannote's agglomerative clustering by centroids treat a given number as above.

    Other kinds of clustering stay as they are.
    """
    is_known = type(clustering).__name__ == "AgglomerativeClustering"
    if is_known and (clustering.metric, clustering.method) == ("cosine", "centroid"):
        clustering.cluster = GivenNumberClustering(clustering)


class GivenNumberClustering:
    """`AgglomerativeClustering.cluster`, except for the way it meets a given number."""

    def __init__(self, clustering: Any) -> None:
        self._clustering, self._original = clustering, clustering.cluster

    def __call__(
        self,
        embeddings: Vectors,
        min_clusters: int,
        max_clusters: float,
        num_clusters: int | None = None,
    ) -> Labels:
        """A label from 0 for each of `embeddings`, (vectors, dimension)."""
        labels: Labels = self._original(
            embeddings.copy(), min_clusters=1, max_clusters=len(embeddings)
        )
        found = labels.max() + 1
        wanted = num_clusters or int(min(max(found, min_clusters), max_clusters))
        if found == wanted or len(embeddings) == 1:
            return labels
        return largest_clusters(embeddings, wanted, self._clustering.threshold)


def largest_clusters(embeddings: Vectors, wanted: int, threshold: float) -> Labels:
    """Labels from 0 of at most `wanted` clusters.

    Args:
        embeddings: (vectors, dimension), at least two.
        wanted: how many clusters to look for; more than there are vectors cannot be found.
        threshold: distance between centroids of unit vectors from which clusters stay apart;
            smaller where that gives too few.
    """
    unit = unit_vectors(embeddings)
    tree = linkage(unit, method="centroid", metric="euclidean")
    cuts = (fcluster(tree, height, criterion="distance") for height in _heights(tree, threshold))
    clusters = next((cut for cut in cuts if cut.max() >= wanted), None)
    if clusters is None:  # there are not as many vectors, or equal ones
        clusters = np.arange(len(embeddings))
    numbers, sizes = np.unique(clusters, return_counts=True)
    numbers = numbers[np.argsort(-sizes, kind="stable")]
    centroids = np.stack([unit[clusters == number].mean(axis=0) for number in numbers])
    centroids = centroids.astype(np.float64)
    nearest = cosine_similarity(centroids, centroids[:wanted]).argmax(axis=1)
    nearest[:wanted] = np.arange(len(centroids[:wanted]))
    label_of = dict(zip(numbers.tolist(), nearest.tolist(), strict=True))
    return np.array([label_of[number] for number in clusters.tolist()], dtype=np.intp)


def _heights(tree: NDArray[np.float64], threshold: float) -> list[float]:
    """Heights to cut the tree at: the threshold, then just below each merge."""
    merges = np.unique(tree[:, 2])[::-1]
    return [threshold, *np.nextafter(merges[merges <= threshold], 0.0).tolist()]
