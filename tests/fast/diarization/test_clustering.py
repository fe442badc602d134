"""What a given number of speakers does to voices that were told apart without it."""

import numpy as np
import pytest

from asr_diarization.diarization.clustering import (
    GivenNumberClustering,
    _nearest,
    cluster_all,
    keep_given_number,
    largest_clusters,
)

THRESHOLD = 0.8


def voices(*groups, spread=0.01):
    """Vectors around a direction in the plane for each (degrees, how many)."""
    random = np.random.default_rng(0)
    angles = np.concatenate([np.full(count, np.radians(degrees)) for degrees, count in groups])
    plane = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (plane + random.normal(scale=spread, size=plane.shape)).astype(np.float32)


def degrees_apart(distance):
    """The angle between unit vectors that far from each other."""
    return np.degrees(2 * np.arcsin(distance / 2))


def sizes(labels):
    return sorted(np.bincount(labels).tolist(), reverse=True)


class Agglomerative:
    """Stands for pyannote's: two voices, whatever is asked for."""

    metric, method, threshold = "cosine", "centroid", THRESHOLD

    def __init__(self, found):
        self.found, self.asked = found, []

    def cluster(self, embeddings, **wishes):
        self.asked.append(wishes)
        return np.arange(len(embeddings)) % self.found


def test_a_voice_that_is_hardly_heard_is_a_speaker_when_the_number_says_so():
    heard = voices((0, 20), (90, 20), (180, 2))
    assert sizes(largest_clusters(heard, 3, THRESHOLD)) == [20, 20, 2]


def test_voices_beyond_the_number_join_the_nearest():
    heard = voices((0, 20), (90, 20), (150, 2))
    labels = largest_clusters(heard, 2, THRESHOLD)
    assert sizes(labels) == [22, 20]
    assert labels[-1] == labels[20]


def test_the_largest_voices_are_kept():
    heard = voices((0, 20), (100, 4), (180, 10))
    labels = largest_clusters(heard, 2, THRESHOLD)
    assert sizes(labels) == [20, 14]
    assert labels[20] == labels[-1]


@pytest.mark.parametrize("distance", [0.82 * THRESHOLD, 0.3 * THRESHOLD, 0.1 * THRESHOLD])
def test_similar_voices_are_told_apart_when_the_number_says_so(distance):
    heard = voices((0, 10), (degrees_apart(distance), 12), spread=0.001)
    labels = largest_clusters(heard, 2, THRESHOLD)
    assert [len(set(part.tolist())) for part in (labels[:10], labels[10:], labels)] == [1, 1, 2]
    assert len(sizes(largest_clusters(heard, 1, THRESHOLD))) == 1


@pytest.mark.parametrize("wanted", [2, 3, 7])
def test_a_given_number_is_met_even_with_one_voice(wanted):
    assert len(sizes(largest_clusters(voices((0, 40)), wanted, THRESHOLD))) == wanted


def test_there_are_no_more_voices_than_vectors_and_equal_ones_may_be_two():
    assert sizes(largest_clusters(voices((0, 2)), 3, THRESHOLD)) == [1, 1]
    assert sizes(largest_clusters(voices((0, 3), spread=0.0), 2, THRESHOLD)) == [2, 1]


def test_short_local_speakers_are_clustered_where_there_are_no_longer_ones():
    heard = np.full((2, 3, 2), np.nan, dtype=np.float32)
    heard[:, :2] = voices((0, 1), (80, 1), (0, 1), (80, 1)).reshape(2, 2, 2)
    clusters, centroids = cluster_all(heard, 2)
    assert (clusters[0, 0], clusters[0, 1]) == (clusters[1, 0], clusters[1, 1])
    assert clusters[0, 0] != clusters[0, 1]
    assert centroids.shape == (2, 2)
    clusters, centroids = cluster_all(heard, 1)
    assert not clusters.any()
    assert centroids[0].tolist() == pytest.approx(np.nanmean(heard, axis=(0, 1)).tolist())


def test_no_vector_at_all_is_one_speaker_without_a_centroid():
    clusters, centroids = cluster_all(np.full((2, 3, 4), np.nan, dtype=np.float32), 2)
    assert not clusters.any()
    assert centroids.shape == (1, 4)
    assert np.isnan(centroids).all()


@pytest.mark.parametrize(
    "wishes",
    [
        {"min_clusters": 1, "max_clusters": np.inf},
        {"min_clusters": 2, "max_clusters": 2},
        {"min_clusters": 2, "max_clusters": 2, "num_clusters": 2},
    ],
)
def test_a_number_that_was_found_anyway_changes_nothing(wishes):
    heard = voices((0, 3), (10, 3))
    found = GivenNumberClustering(Agglomerative(2))(heard, **wishes)
    assert found.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("wishes", "number"),
    [
        ({"min_clusters": 1, "max_clusters": 2}, 2),
        ({"min_clusters": 4, "max_clusters": np.inf}, 4),
        ({"min_clusters": 1, "max_clusters": 1, "num_clusters": 1}, 1),
    ],
)
def test_bounds_are_met(wishes, number):
    heard = voices((0, 9), (90, 8), (180, 7), (270, 6))
    clustering = Agglomerative(3)
    before = heard.copy()
    assert len(sizes(GivenNumberClustering(clustering)(heard, **wishes))) == number
    assert (heard == before).all()
    assert clustering.asked == [{"min_clusters": 1, "max_clusters": 30}]


def test_one_vector_is_one_voice():
    assert GivenNumberClustering(Agglomerative(1))(voices((0, 1)), 2, 2, 2).tolist() == [0]


@pytest.mark.parametrize("change", [{"method": "average"}, {"metric": "euclidean"}])
def test_other_ways_of_clustering_stay_as_they_are(change):
    class AgglomerativeClustering(Agglomerative):
        pass

    known, other = AgglomerativeClustering(2), AgglomerativeClustering(2)
    for name, value in change.items():
        setattr(other, name, value)
    for clustering in (known, other, Agglomerative(2)):
        keep_given_number(clustering)
    assert isinstance(known.cluster, GivenNumberClustering)
    assert not isinstance(other.cluster, GivenNumberClustering)


def test_the_nearest_centroid_is_the_most_similar_whatever_its_length():
    centroids = np.array([[10, 0], [0, 0.1]], dtype=np.float32)
    embeddings = np.array([[[1, 0.9], [0.9, 1]], [[np.nan, np.nan], [0, 5]]], dtype=np.float32)
    nearest = _nearest(embeddings, centroids)
    assert nearest.tolist() == [[0, 1], [0, 1]]
    assert nearest.dtype == np.int8
