"""Calibration of word probabilities: are 90 % of the words with probability 0.9 correct?

Reliability diagrams and the expected calibration error as in Guo et al. 2017, "On Calibration of
Modern Neural Networks" (arXiv 1706.04599), section 2. A word is correct if it is aligned with the
same word of the reference; speakers do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from asr_diarization.transcript import Segment
from benchmarks.recordings import Recording
from benchmarks.reports.tables import table
from benchmarks.scores.normalizer import normalizer
from benchmarks.scores.scoring import align_words, word_entries

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


def judged_words(recording: Recording, segments: Sequence[Segment]) -> list[tuple[float, bool]]:
    """The probability of each hypothesis word, and whether the word is correct."""
    normalize = normalizer(recording.language)
    reference = list(word_entries(recording.segments, normalize, spread=True))
    hypothesis = list(word_entries(segments, normalize))
    if not reference or not hypothesis:
        return []
    return [
        (b["probability"], a is not None and a["words"] == b["words"])
        for a, b in align_words(reference, hypothesis)
        if b and b["probability"] is not None
    ]


def reliability_table(judged: Iterable[tuple[float, bool]]) -> str:
    """A row for each range of probabilities, and the expected calibration error below."""
    pairs = list(judged)
    probabilities = np.array([probability for probability, _ in pairs])
    correct = np.array([is_correct for _, is_correct in pairs])
    rows, error = [], 0.0
    for low, high in pairwise(EDGES):
        within = (probabilities > low) & (probabilities <= high)
        if not within.any():
            continue
        mean, share = probabilities[within].mean(), correct[within].mean()
        error += within.mean() * abs(mean - share)
        cells = [f"{low:g} to {high:g}", str(within.sum()), f"{mean:.2f}", f"{share:.2f}"]
        rows.append(cells)
    rendered = table(["probability", "words", "mean probability", "share that is correct"], rows)
    return f"{rendered}\n\nExpected calibration error: {error:.3f}."
