"""Scores of a transcript against its reference: counts first, rates from their sums.

The conventions are the same for every pipeline:

- Text is normalised segment by segment with Whisper's own normaliser (`normalizer`).
- **WER** counts words only: reference and hypothesis are each joined to one line, with segments
  ordered by start. **cpWER** (MeetEval) concatenates each speaker's words and takes the best
  pairing of speakers. **tcpWER** (MeetEval) is that, but words match only within a collar of 5 s,
  their times spread over the segment by letters.
- **WDER** (Shafey et al., "Joint Speech Recognition and Speaker Diarization via Sequence
  Transduction", 2019): the share of recognised or substituted words with the wrong speaker. Words
  are aligned as for tcpWER, but without regard to speakers; speakers are paired for the fewest
  errors.
- **DER** (pyannote.metrics): missed + false alarm + confusion over reference speech, overlap
  included, in the whole recording. "DER 0.25" forgives 0.25 s on each side of every reference
  boundary, as NIST does; pyannote calls that `collar=0.5`. "DER 0" forgives nothing.
- **Invented**: words whose middle is more than 0.5 s away from any reference speech.
- **Word-time errors**: hypothesis minus reference, absolute, for words that were recognised
  (aligned as for WDER, word by word), where the reference has word times.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import meeteval
import numpy as np
from meeteval.io import SegLST
from meeteval.wer.wer.time_constrained import (
    align,
    time_constrained_minimum_permutation_word_error_rate,
)
from scipy.optimize import linear_sum_assignment

from asr_diarization.merging import gap
from asr_diarization.transcript import Segment, Transcript, Turn, Word
from benchmarks.recordings import Recording
from benchmarks.scores.counts import Ratio, Score
from benchmarks.scores.normalizer import normalizer

# MeetEval warns about words longer than the collar; the score already counts them as errors.
logging.getLogger("preprocess").setLevel(logging.ERROR)

COLLAR_SECONDS = 5.0
"""Collar of tcpWER, and of the alignments for WDER and word times."""
NEAR_SPEECH_SECONDS = 0.5
NOBODY = "nobody"
"""The speaker of words without a speaker; it always counts as wrong."""

Normalize = Callable[[str], list[str]]
Entries = list[dict[str, Any]]


def score(recording: Recording, transcript: Transcript) -> Score:
    """All scores that the reference allows."""
    counts = Counter(
        speakers=len({turn.speaker for turn in transcript.turns}),
        true_speakers=recording.num_speakers,
    )
    if recording.reference_turns:
        return Score(diarization_ratios(recording, transcript.turns), counts)
    normalize = normalizer(recording.language)
    reference = seglst(recording.segments, normalize)
    hypothesis = seglst(transcript.segments, normalize)
    ratios: dict[str, Ratio] = {}
    words = _word_list(reference) if recording.text is None else normalize(recording.text)
    errors = word_errors(words, _word_list(hypothesis))
    ratios["WER"] = Ratio(errors.errors, errors.length)
    counts.update(
        words=errors.length,
        heard=sum(len(entry["words"].split()) for entry in hypothesis),
        substituted=errors.substitutions,
        missed=errors.deletions,
        inserted=errors.insertions,
        invented=invented_words(recording, transcript.segments, normalize),
    )
    if recording.segments:
        ratios |= speaker_ratios(reference, hypothesis)
    if recording.text is None or not recording.text:
        ratios |= diarization_ratios(recording, transcript.turns)
    starts, ends = word_time_errors(recording.segments, transcript.segments, normalize)
    return Score(ratios, counts, starts, ends)


def seglst(segments: Sequence[Segment], normalize: Normalize) -> Entries:
    """Normalised segments in MeetEval's format; segments without words are left out."""
    entries = [
        {
            "session_id": "-",
            "speaker": segment.speaker or NOBODY,
            # Word times are used where they are known: engines extend segments over silence.
            "start_time": min((word.start for word in segment.words), default=segment.start),
            "end_time": max((word.end for word in segment.words), default=segment.end),
            "words": " ".join(normalize(segment.text)),
        }
        for segment in segments
    ]
    return sorted((e for e in entries if e["words"]), key=lambda entry: entry["start_time"])


def _word_list(entries: Entries) -> list[str]:
    return [word for entry in entries for word in entry["words"].split()]


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Any:
    """MeetEval's word error rate of two word sequences."""
    return meeteval.wer.wer.siso.siso_word_error_rate(" ".join(reference), " ".join(hypothesis))


def speaker_ratios(reference: Entries, hypothesis: Entries) -> dict[str, Ratio]:
    """cpWER, tcpWER and WDER."""
    if not hypothesis:
        count = len(_word_list(reference))
        nothing = Ratio(count, count)
        return {"cpWER": nothing, "tcpWER": nothing, "WDER": Ratio()}
    both_sides = SegLST(reference), SegLST(hypothesis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # segments of one speaker may overlap
        cp = meeteval.wer.wer.cp.cp_word_error_rate(*both_sides)
        tcp = time_constrained_minimum_permutation_word_error_rate(
            *both_sides, collar=COLLAR_SECONDS
        )
    return {
        "cpWER": Ratio(cp.errors, cp.length),
        "tcpWER": Ratio(tcp.errors, tcp.length),
        "WDER": word_diarization_ratio(reference, hypothesis),
    }


def word_diarization_ratio(reference: Entries, hypothesis: Entries) -> Ratio:
    """Words with the wrong speaker among those that were recognised or substituted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = align(SegLST(reference), SegLST(hypothesis), collar=COLLAR_SECONDS, style="seglst")
    common = Counter((a["speaker"], b["speaker"]) for a, b in pairs if a and b)
    correct = sum(common[real, found] for found, real in pair_speakers(common).items())
    return Ratio(common.total() - correct, common.total())


def pair_speakers(common: Counter[tuple[str, str]]) -> dict[str, str]:
    """The reference speaker of each hypothesis speaker; the pairing has the most common words.

    It is one to one, and `nobody` is not paired.

    Args:
        common: number of words by (reference speaker, hypothesis speaker).
    """
    real = sorted({a for a, _ in common})
    found = sorted({b for _, b in common} - {NOBODY})
    counts = np.array([[common[a, b] for b in found] for a in real]).reshape(len(real), len(found))
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return {found[column]: real[row] for row, column in zip(rows, columns, strict=True)}


def diarization_ratios(recording: Recording, turns: Sequence[Turn]) -> dict[str, Ratio]:
    """DER without and with a collar."""
    return {
        f"DER {side:g}": diarization_error(recording.turns, turns, recording.duration, side)
        for side in (0.0, 0.25)
    }


def diarization_error(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], duration: float, side: float
) -> Ratio:
    """Seconds of diarization error; `side` seconds around each reference boundary are forgiven."""
    from pyannote.core import Segment as Stretch
    from pyannote.core import Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=2 * side, skip_overlap=False)
    whole = Timeline([Stretch(0.0, duration)])
    found = metric(_annotation(reference), _annotation(hypothesis), uem=whole, detailed=True)
    errors = found["missed detection"] + found["false alarm"] + found["confusion"]
    return Ratio(errors, found["total"])


def _annotation(turns: Sequence[Turn]) -> Any:
    from pyannote.core import Annotation
    from pyannote.core import Segment as Stretch

    annotation = Annotation()
    for number, turn in enumerate(turns):
        annotation[Stretch(turn.start, turn.end), number] = turn.speaker
    return annotation


def invented_words(recording: Recording, segments: Sequence[Segment], normalize: Normalize) -> int:
    """Number of words where nobody speaks; 0 if the reference has no times of speech."""
    if recording.text:
        return 0
    speech = recording.turns
    return sum(
        len(normalize(word.text))
        for segment in segments
        for word in timed_words(segment)
        if all(gap(_middle(word), turn) > NEAR_SPEECH_SECONDS for turn in speech)
    )


def _middle(word: Word) -> Word:
    at = (word.start + word.end) / 2
    return Word(word.text, at, at)


def timed_words(segment: Segment) -> tuple[Word, ...]:
    """A segment's words; words without times are spread over it in proportion to their letters."""
    if segment.words:
        return segment.words
    texts = segment.text.split()
    edges = np.cumsum([0, *map(len, texts)]) / max(1, sum(map(len, texts)))
    times = (segment.start + edges * (segment.end - segment.start)).tolist()
    return tuple(
        Word(f" {text}", start, max(start, end), speaker=segment.speaker)
        for text, (start, end) in zip(texts, pairwise(times), strict=True)
    )


def word_time_errors(
    reference: Sequence[Segment], hypothesis: Sequence[Segment], normalize: Normalize
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Absolute errors of starts and of ends, in seconds, of the words that both sides share.

    Both are empty if one side has no word times.
    """
    entries = [list(word_entries(segments, normalize)) for segments in (reference, hypothesis)]
    if not all(entries):
        return (), ()
    same = [(a, b) for a, b in align_words(*entries) if a and b and a["words"] == b["words"]]
    return (
        tuple(abs(a["start_time"] - b["start_time"]) for a, b in same),
        tuple(abs(a["end_time"] - b["end_time"]) for a, b in same),
    )


def align_words(reference: Entries, hypothesis: Entries) -> Any:
    """Aligned pairs of word entries; None stands for a missing word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return align(
            SegLST(reference),
            SegLST(hypothesis),
            collar=COLLAR_SECONDS,
            style="seglst",
            reference_pseudo_word_level_timing="none",
            hypothesis_pseudo_word_level_timing="none",
            reference_sort="word",
            hypothesis_sort="word",
        )


def word_entries(
    segments: Sequence[Segment], normalize: Normalize, *, spread: bool = False
) -> Iterator[dict[str, Any]]:
    """An entry for each word with times; with `spread`, also for words without."""
    for segment in segments:
        for word in timed_words(segment) if spread else segment.words:
            # The normaliser makes two words of "it's"; they have one time, so they stay one.
            if text := "_".join(normalize(word.text)):
                yield {
                    "session_id": "-",
                    "speaker": word.speaker or segment.speaker or NOBODY,
                    "start_time": word.start,
                    "end_time": word.end,
                    "words": text,
                    "probability": word.probability,
                }
