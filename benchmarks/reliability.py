"""Whether a word's probability means what it says: of the words given 0.9, are 90 % right?

Reliability diagrams and the expected calibration error as in Guo et al. 2017, "On Calibration of
Modern Neural Networks" (arXiv 1706.04599), section 2. A word is right when it is aligned with the
same word of the reference, whoever said it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from asr_diarization.transcript import Segment
from benchmarks.normalizer import normalizer
from benchmarks.recordings import Recording
from benchmarks.scoring import align_words, word_entries
from benchmarks.tables import table

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


def judged_words(recording: Recording, segments: Sequence[Segment]) -> list[tuple[float, bool]]:
    """The probability of each word heard, and whether it is right."""
    normalize = normalizer(recording.language)
    said = list(word_entries(recording.segments, normalize, spread=True))
    heard = list(word_entries(segments, normalize))
    if not said or not heard:
        return []
    return [
        (b["probability"], a is not None and a["words"] == b["words"])
        for a, b in align_words(said, heard)
        if b and b["probability"] is not None
    ]


def reliability_table(judged: Iterable[tuple[float, bool]]) -> str:
    """A row for each range of probabilities, and the expected calibration error below."""
    pairs = list(judged)
    probabilities = np.array([probability for probability, _ in pairs])
    right = np.array([is_right for _, is_right in pairs])
    rows, gap = [], 0.0
    for low, high in pairwise(EDGES):
        within = (probabilities > low) & (probabilities <= high)
        if not within.any():
            continue
        mean, share = probabilities[within].mean(), right[within].mean()
        gap += within.mean() * abs(mean - share)
        cells = [f"{low:g} to {high:g}", str(within.sum()), f"{mean:.2f}", f"{share:.2f}"]
        rows.append(cells)
    found = table(["probability", "words", "mean probability", "share that is right"], rows)
    return f"{found}\n\nExpected calibration error: {gap:.3f}."
