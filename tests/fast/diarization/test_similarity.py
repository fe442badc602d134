"""Cosine similarity."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.diarization.similarity import cosine_similarity, unit_vectors


def test_it_is_the_cosine_whatever_the_lengths():
    vectors = np.array([[[2.0, 0.0], [0.0, 0.5]], [[3.0, 4.0], [-7.0, 0.0]]])
    others = np.array([[1.0, 0.0], [0.0, 9.0], [6.0, 8.0]])
    expected = [[[1, 0, 0.6], [0, 1, 0.8]], [[0.6, 0.8, 1], [-1, 0, -0.6]]]
    assert cosine_similarity(vectors, others) == pytest.approx(np.array(expected))
    assert cosine_similarity(vectors[1, 0], others) == pytest.approx(np.array(expected[1][0]))


def test_nothing_has_no_direction_and_nan_stays():
    unit = unit_vectors(np.array([[0.0, 0.0], [np.nan, 1.0]], dtype=np.float32))
    assert unit[0].tolist() == [0, 0]
    assert np.isnan(unit[1]).all()
    assert unit.dtype == np.float32
