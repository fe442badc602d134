"""A cluster in which the segmentation hears two people is split; a single voice never is."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.diarization.cannot_link import (
    MIN_CHUNKS,
    NOBODY,
    share_with_two,
    split_clusters,
)

LINE = np.array([3.0, 0, 0, 0, 0, 0])
"""What all voices of a telephone call share."""
RNG_SEED = 0


def recording(
    *chunks: str, apart: float = 2.0, line: np.ndarray = LINE
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and seconds of chunks such as "AB": who speaks in it, 3 s each; small letters: 0.5 s.

    The voices are `apart` from what they share, each in a direction of its own.
    """
    random = np.random.default_rng(RNG_SEED)
    vectors = np.full((len(chunks), 3, 6), np.nan, dtype=np.float32)
    seconds = np.zeros((len(chunks), 3))
    for number, chunk in enumerate(chunks):
        for place, who in enumerate(chunk):
            voice = np.zeros(6)
            voice[1 + "ABC".index(who.upper())] = apart
            vectors[number, place] = line + voice + random.normal(scale=0.1, size=6)
            seconds[number, place] = 3.0 if who.isupper() else 0.5
    return vectors, seconds


def voices(labels: np.ndarray, *chunks: str) -> dict[str, set[int]]:
    """The labels that each letter got."""
    found: dict[str, set[int]] = {}
    for number, chunk in enumerate(chunks):
        for place, who in enumerate(chunk):
            found.setdefault(who.upper(), set()).add(int(labels[number, place]))
    return found


CALL = ("A", "A", "AB", "BA", "B", "AB", "A", "BA", "A", "aB", "B")


def test_two_voices_in_one_cluster_become_two() -> None:
    vectors, seconds = recording(*CALL, apart=4.0)
    split = split_clusters(vectors, seconds, np.zeros((len(CALL), 3), np.int8))
    assert split is not None
    labels, centroids = split
    found = voices(labels, *CALL)
    assert [len(found["A"]), len(found["B"])] == [1, 1]
    assert found["A"] != found["B"]
    assert centroids.shape == (2, 6)
    assert (labels[np.isnan(vectors[..., 0])] == NOBODY).all()


def test_the_other_clusters_stay_apart() -> None:
    chunks = (*CALL, "C", "C", "CA", "C", "CB", "C")
    vectors, seconds = recording(*chunks, apart=4.0)
    labels = np.array([[int(p < len(c) and c[p] == "C") for p in range(3)] for c in chunks])
    split = split_clusters(vectors, seconds, labels.astype(np.int8))
    assert split is not None
    found = voices(split[0], *chunks)
    assert sorted(map(sorted, found.values())) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("chunks", "apart"),
    [
        (("A",) * 20, 4.0),  # one person
        (("AB",) * (MIN_CHUNKS - 1) + ("A",), 4.0),  # too few chunks
        (("AB",) * MIN_CHUNKS + ("A",) * 60, 4.0),  # too small a share of them
        (("Ab",) * 20, 4.0),  # too little said
        (("AB",) * 20, 1.0),  # they sound alike: one voice that was segmented twice
    ],
)
def test_without_evidence_nothing_changes(chunks: tuple[str, ...], apart: float) -> None:
    vectors, seconds = recording(*chunks, apart=apart)
    assert split_clusters(vectors, seconds, np.zeros((len(chunks), 3), np.int8)) is None


def test_two_people_who_are_apart_already_stay_as_they_are() -> None:
    chunks = ("AB",) * 20
    vectors, seconds = recording(*chunks, apart=4.0)
    labels = np.tile(np.array([0, 1, 0], np.int8), (20, 1))
    assert split_clusters(vectors, seconds, labels) is None


def test_beyond_the_largest_number_the_smallest_cluster_joins_the_nearest() -> None:
    """A given number of two, and an outlier of one of them (C) that clustering took for a voice."""
    chunks = (*CALL, "C")
    vectors, seconds = recording(*chunks, apart=4.0)
    vectors[-1, 0] = vectors[0, 0] + 0.8
    labels = np.zeros((len(chunks), 3), np.int8)
    labels[-1, 0] = 1
    split = split_clusters(vectors, seconds, labels, max_clusters=2)
    assert split is not None
    found = voices(split[0], *chunks)
    assert found["A"] != found["B"]
    assert found["C"] == found["A"]
    assert len(split[1]) == 2


@pytest.mark.parametrize(
    ("chunks", "share"),
    [(("AB",) * 10 + ("A",) * 10, 0.5), (("A",) * 20, 0.0), (("AB",) * 3 + ("A",), 0.0)],
)
def test_turn_taking_is_the_share_of_chunks_with_two(chunks: tuple[str, ...], share: float) -> None:
    assert share_with_two(*recording(*chunks)) == pytest.approx(share)


def test_a_segmentation_of_one_local_speaker_has_no_pairs() -> None:
    assert share_with_two(np.ones((5, 1, 4), np.float32), np.ones((5, 1))) == 0.0
