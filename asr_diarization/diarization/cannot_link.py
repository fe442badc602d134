"""Cannot-link constraints: the local speakers of one chunk are different people.

Over the telephone, two voices resemble each other more than clustering allows (cosines of 0.7 and
0.8 between their centroids; elsewhere 0 to 0.5), and both end in one cluster. The segmentation
hears them take turns nevertheless. So a cluster in which it hears two people in many chunks is
split (docs/quality.md has the gain). Vectors are compared after subtraction of their cluster's
mean, which holds what the voices share: the line, the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from asr_diarization.diarization.similarity import cosine_similarity, unit_vectors

MIN_SECONDS = 1.0
"""A local speaker who says less than this in a chunk is no evidence."""
MAX_SIMILARITY = 0.5
"""Nor are two whose embeddings resemble each other more: some voices are segmented twice."""
MIN_CHUNKS, MIN_SHARE = 4, 0.07
"""A cluster is split if two people are heard in so many of its chunks, and in such a share."""
MIN_TRAIN_SECONDS = 1.5
"""Centroids are means over local speakers who say at least this much, if there are any."""
MAX_CLUSTERS = 50
ITERATIONS = 30
"""Of k-means, at most."""

Vectors = NDArray[np.float64]
Labels = NDArray[np.int8]
"""(chunks, speakers); NOBODY for local speakers without a vector."""
NOBODY = -2
"""pyannote's mark."""


@dataclass(frozen=True)
class Links:
    """Pairs of local speakers of the same chunk, each with enough speech of their own."""

    chunk: NDArray[np.intp]
    """(pairs,)"""
    speakers: NDArray[np.intp]
    """(pairs, 2)"""
    similarity: NDArray[np.float64]
    """(pairs,): the cosine of the two embeddings."""

    def inside(self, labels: Labels, cluster: int) -> Links:
        """The pairs of which both are in `cluster`, though they do not sound alike."""
        both = (labels[self.chunk[:, None], self.speakers] == cluster).all(axis=1)
        both &= self.similarity < MAX_SIMILARITY
        return Links(self.chunk[both], self.speakers[both], self.similarity[both])


def find_links(embeddings: NDArray[np.float32], seconds: NDArray[np.float64]) -> Links:
    """All pairs.

    Args:
        embeddings: (chunks, speakers, dimension); NaN where there is none.
        seconds: (chunks, speakers): the speech that each vector was computed from.
    """
    unit = unit_vectors(embeddings.astype(np.float64))
    heard = np.isfinite(unit[..., 0]) & (seconds >= MIN_SECONDS)
    chunks, speakers, similarity = [], [], []
    for first, second in combinations(range(unit.shape[1]), 2):
        chunk = np.flatnonzero(heard[:, first] & heard[:, second])
        chunks.append(chunk)
        speakers.append(np.tile([first, second], (len(chunk), 1)))
        similarity.append((unit[chunk, first] * unit[chunk, second]).sum(axis=1))
    if not chunks:
        return Links(np.zeros(0, np.intp), np.zeros((0, 2), np.intp), np.zeros(0))
    return Links(np.concatenate(chunks), np.concatenate(speakers), np.concatenate(similarity))


def share_with_two(embeddings: NDArray[np.float32], seconds: NDArray[np.float64]) -> float:
    """In which share of the chunks the segmentation hears two people; 0.0 if in very few."""
    chunks = len(np.unique(find_links(embeddings, seconds).chunk))
    return chunks / len(embeddings) if chunks >= MIN_CHUNKS else 0.0


def split_clusters(
    embeddings: NDArray[np.float32],
    seconds: NDArray[np.float64],
    labels: Labels,
    max_clusters: float = MAX_CLUSTERS,
) -> tuple[Labels, NDArray[np.float32]] | None:
    """Labels in which no cluster holds two people, and centroids; None if none did before.

    Args:
        embeddings: (chunks, speakers, dimension); NaN where there is none.
        seconds: (chunks, speakers): the speech that each vector was computed from.
        labels: the cluster of each local speaker.
        max_clusters: beyond these, the smallest cluster joins the nearest one.
    """
    active = np.isfinite(embeddings[..., 0])
    unit = unit_vectors(np.nan_to_num(embeddings.astype(np.float64)))
    weights = np.where(active, seconds, 0.0)
    labels = np.where(active, labels, NOBODY).astype(np.int8)
    links = find_links(embeddings, seconds)
    has_split = False
    while (worst := _worst(labels, weights, links)) is not None and labels.max() < MAX_CLUSTERS:
        parted = _split(unit, weights, labels == worst[0], worst[1])
        if not parted.any():
            break
        labels[parted], has_split = labels.max() + 1, True
    if not has_split:
        return None
    while len(np.unique(labels[active])) > max_clusters:
        _merge_smallest(unit, weights, labels)
    centroids = _centroids(unit, weights, labels)
    shared = centroids.mean(axis=0) * (len(centroids) > 1)
    labels = _assign(unit - shared, active, centroids - shared)
    return labels, centroids.astype(np.float32)


def _worst(labels: Labels, weights: NDArray[np.float64], links: Links) -> tuple[int, Links] | None:
    """The cluster in which two people are heard in most chunks, with the pairs; None if in few."""
    worst, most = None, MIN_CHUNKS - 1
    for cluster in np.unique(labels[labels != NOBODY]).tolist():
        inside = links.inside(labels, cluster)
        chunks = len(np.unique(inside.chunk))
        heard = ((labels == cluster) & (weights >= MIN_SECONDS)).any(axis=1).sum()
        if chunks > most and chunks >= MIN_SHARE * heard:
            worst, most = (cluster, inside), chunks
    return worst


def _split(
    unit: Vectors, weights: NDArray[np.float64], members: NDArray[np.bool_], links: Links
) -> NDArray[np.bool_]:
    """Which of the `members` are the second person: (chunks, speakers).

    The first principal axis of the pairs' differences says in which direction the two people
    differ; a cluster's own axis might be one of loudness or distance. k-means starts from there.
    """
    train = _trained(members, weights)
    centred = unit_vectors(unit - unit[train].mean(axis=0))
    first, second = (centred[links.chunk, links.speakers[:, side]] for side in (0, 1))
    axis = np.linalg.svd(first - second, full_matrices=False)[2][0]
    is_swapped = ((first - second) @ axis < 0)[:, None]
    sides = (np.where(is_swapped, second, first), np.where(is_swapped, first, second))
    centroids = np.stack([side.mean(axis=0) for side in sides])
    vectors, amount = centred[train], weights[train][:, None]
    nearest = cosine_similarity(vectors, centroids).argmax(axis=1)
    for _ in range(ITERATIONS):
        if len(np.unique(nearest)) < 2:
            return np.zeros_like(members)
        means = [(vectors * amount)[nearest == side].sum(axis=0) for side in (0, 1)]
        centroids, before = np.stack(means), nearest
        nearest = cosine_similarity(vectors, centroids).argmax(axis=1)
        if (nearest == before).all():
            break
    second_person: NDArray[np.bool_] = _assign(centred, members, centroids) == 1
    return second_person


def _trained(members: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The members with enough speech for a mean, or all of them."""
    enough = members & (weights >= MIN_TRAIN_SECONDS)
    return enough if enough.sum() > 1 else members


def _centroids(unit: Vectors, weights: NDArray[np.float64], labels: Labels) -> Vectors:
    """The mean direction of every cluster, in order of its label: (clusters, dimension)."""
    sums = []
    for cluster in np.unique(labels[labels != NOBODY]):
        train = _trained(labels == cluster, weights)
        sums.append((unit[train] * weights[train][:, None]).sum(axis=0))
    centroids: Vectors = unit_vectors(np.stack(sums))
    return centroids


def _merge_smallest(unit: Vectors, weights: NDArray[np.float64], labels: Labels) -> None:
    """Give the cluster with least speech, in `labels`, to the most similar one."""
    clusters = np.unique(labels[labels != NOBODY])
    smallest = int(np.argmin([weights[labels == cluster].sum() for cluster in clusters]))
    centroids = _centroids(unit, weights, labels)
    similarity = cosine_similarity(centroids[smallest], centroids)
    similarity[smallest] = -np.inf
    labels[labels == clusters[smallest]] = clusters[int(similarity.argmax())]


def _assign(vectors: Vectors, members: NDArray[np.bool_], centroids: Vectors) -> Labels:
    """The nearest centroid of each of the `members`, NOBODY for the others.

    Two local speakers of a chunk share a centroid only if there are more of them than centroids.
    """
    labels = np.full(members.shape, NOBODY, dtype=np.int8)
    similarity = cosine_similarity(vectors, centroids)
    labels[members] = similarity.argmax(axis=2)[members]
    for chunk in np.flatnonzero(members.sum(axis=1) > 1):
        speakers = np.flatnonzero(members[chunk])
        rows, clusters = linear_sum_assignment(-similarity[chunk, speakers])
        labels[chunk, speakers[rows]] = clusters
    return labels
