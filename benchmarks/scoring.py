"""How far a transcript is from what was said: counts first, rates derived from their sums.

Conventions, the same for every pipeline:

- Text is normalised segment by segment with Whisper's own normaliser (`normalizer`).
- **WER** asks for the words only: reference and hypothesis are each put in one line, segments
  ordered by start. **cpWER** (MeetEval) concatenates each speaker's words and takes the best
  pairing of speakers. **tcpWER** (MeetEval) is that, but words match only within a collar of 5 s,
  their times spread over the segment by letters.
- **WDER** (Shafey et al., "Joint Speech Recognition and Speaker Diarization via Sequence
  Transduction", 2019): of the words that were recognised or substituted, how many carry the wrong
  speaker. Words are aligned as for tcpWER, whoever said them; speakers are paired for the least
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
from benchmarks.counts import Ratio, Score
from benchmarks.normalizer import normalizer
from benchmarks.recordings import Recording

# It warns of words that are longer than the collar: an engine's fault, which the score shows.
logging.getLogger("preprocess").setLevel(logging.ERROR)

COLLAR_SECONDS = 5.0
"""Of tcpWER and of the alignment behind WDER and word times."""
NEAR_SPEECH_SECONDS = 0.5
NOBODY = "nobody"
"""Stands for words without a speaker: a speaker of their own, and always the wrong one."""

Normalize = Callable[[str], list[str]]
Entries = list[dict[str, Any]]


def score(recording: Recording, transcript: Transcript) -> Score:
    """Everything there is a reference for."""
    normalize = normalizer(recording.language)
    said = seglst(recording.segments, normalize)
    heard = seglst(transcript.segments, normalize)
    ratios: dict[str, Ratio] = {}
    reference = _line(said) if recording.text is None else normalize(recording.text)
    errors = word_errors(reference, _line(heard))
    ratios["WER"] = Ratio(errors.errors, errors.length)
    counts = Counter(
        words=errors.length,
        heard=sum(len(entry["words"].split()) for entry in heard),
        substituted=errors.substitutions,
        missed=errors.deletions,
        inserted=errors.insertions,
        invented=invented_words(recording, transcript.segments, normalize),
        speakers=len({turn.speaker for turn in transcript.turns}),
        true_speakers=recording.num_speakers,
    )
    if recording.segments:
        ratios |= speaker_ratios(said, heard)
    if recording.text is None or not recording.text:
        ratios |= diarization_ratios(recording, transcript.turns)
    starts, ends = word_time_errors(recording.segments, transcript.segments, normalize)
    return Score(ratios, counts, starts, ends)


def seglst(segments: Sequence[Segment], normalize: Normalize) -> Entries:
    """Segments as MeetEval takes them, normalised, those without words left out."""
    entries = [
        {
            "session_id": "-",
            "speaker": segment.speaker or NOBODY,
            # From word to word where they are known: engines stretch segments over silence.
            "start_time": min((word.start for word in segment.words), default=segment.start),
            "end_time": max((word.end for word in segment.words), default=segment.end),
            "words": " ".join(normalize(segment.text)),
        }
        for segment in segments
    ]
    return sorted((e for e in entries if e["words"]), key=lambda entry: entry["start_time"])


def _line(entries: Entries) -> list[str]:
    return [word for entry in entries for word in entry["words"].split()]


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Any:
    """MeetEval's error rate of two lines of words."""
    return meeteval.wer.wer.siso.siso_word_error_rate(" ".join(reference), " ".join(hypothesis))


def speaker_ratios(said: Entries, heard: Entries) -> dict[str, Ratio]:
    """cpWER, tcpWER and WDER."""
    if not heard:
        nothing = Ratio(len(_line(said)), len(_line(said)))
        return {"cpWER": nothing, "tcpWER": nothing, "WDER": Ratio()}
    reference, hypothesis = SegLST(said), SegLST(heard)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of segments of one speaker that overlap, which is no news
        cp = meeteval.wer.wer.cp.cp_word_error_rate(reference, hypothesis)
        tcp = time_constrained_minimum_permutation_word_error_rate(
            reference, hypothesis, collar=COLLAR_SECONDS
        )
    return {
        "cpWER": Ratio(cp.errors, cp.length),
        "tcpWER": Ratio(tcp.errors, tcp.length),
        "WDER": word_diarization_ratio(said, heard),
    }


def word_diarization_ratio(said: Entries, heard: Entries) -> Ratio:
    """Words on the wrong speaker, of those that were recognised or substituted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = align(SegLST(said), SegLST(heard), collar=COLLAR_SECONDS, style="seglst")
    both = Counter((a["speaker"], b["speaker"]) for a, b in pairs if a and b)
    right = sum(both[real, found] for found, real in pair_speakers(both).items())
    return Ratio(both.total() - right, both.total())


def pair_speakers(both: Counter[tuple[str, str]]) -> dict[str, str]:
    """Which reference speaker each hypothesis speaker stands for, for the most words in common.

    One to one; `nobody` stands for nobody.

    Args:
        both: number of words by (reference speaker, hypothesis speaker).
    """
    real = sorted({a for a, _ in both})
    found = sorted({b for _, b in both} - {NOBODY})
    common = np.array([[both[a, b] for b in found] for a in real]).reshape(len(real), len(found))
    rows, columns = linear_sum_assignment(common, maximize=True)
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
    """Seconds of diarization error, `side` seconds around each reference boundary forgiven."""
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
    """Words where nobody speaks; 0 when the reference does not say where somebody does."""
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
    """A segment's words; where they have no times, spread over it by their letters."""
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
    """Absolute errors of starts and of ends, in seconds, of every word both sides have.

    Nothing where one side has no times of its own.
    """
    said = list(word_entries(reference, normalize))
    heard = list(word_entries(hypothesis, normalize))
    if not said or not heard:
        return (), ()
    same = [(a, b) for a, b in align_words(said, heard) if a and b and a["words"] == b["words"]]
    return (
        tuple(abs(a["start_time"] - b["start_time"]) for a, b in same),
        tuple(abs(a["end_time"] - b["end_time"]) for a, b in same),
    )


def align_words(said: Entries, heard: Entries) -> Any:
    """Pairs of word entries, None where one side has nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return align(
            SegLST(said),
            SegLST(heard),
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
    """An entry for each word that has times of its own; with `spread`, for the others too."""
    for segment in segments:
        for word in timed_words(segment) if spread else segment.words:
            # "it's" becomes two words of one time: they stay one here.
            if text := "_".join(normalize(word.text)):
                yield {
                    "session_id": "-",
                    "speaker": word.speaker or segment.speaker or NOBODY,
                    "start_time": word.start,
                    "end_time": word.end,
                    "words": text,
                    "probability": word.probability,
                }
