"""Speaker recognition: embeddings of known people compared with those of the recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform, decode_audio
from asr_diarization.audio.windows import Window
from asr_diarization.config import KnownSpeaker
from asr_diarization.diarization.similarity import cosine_similarity
from asr_diarization.errors import AudioTooLongError, InvalidAudioError, InvalidParameterError

Embedding = tuple[float, ...]
"""Of one speaker; the cosine of two says how similar their voices are."""

MAX_SAMPLE_SECONDS = 60.0
"""Longest recording of a known speaker, silence included."""
MIN_SPEECH_SECONDS = 1.0
"""Less speech says too little about a voice."""
MAX_SPEECH_SECONDS = 30
"""More speech says nothing new."""
MIN_SIMILARITY = 0.5
"""A match needs at least this cosine similarity (docs/quality.md)."""
MIN_MARGIN = 0.1
"""The best match must beat every other one by at least this cosine similarity."""


def decode_sample(known: KnownSpeaker) -> Waveform:
    """The recording of a known speaker.

    Raises:
        InvalidParameterError: it cannot be decoded, or is too long; the message names the speaker.
    """
    where = f"known_speakers: the audio of {known.name!r}"
    try:
        return decode_audio(known.audio, max_seconds=MAX_SAMPLE_SECONDS)
    except AudioTooLongError as error:
        raise InvalidParameterError(f"{where} is longer than {MAX_SAMPLE_SECONDS:g} s") from error
    except InvalidAudioError as error:
        raise InvalidParameterError(f"{where}: {error}") from error


def extract_speech(windows: Iterable[Window]) -> Waveform | None:
    """The audio of the windows of one speaker, up to 30 s; None if less than 1 s is speech."""
    windows = tuple(windows)
    if sum(run.duration for window in windows for run in window.speech) < MIN_SPEECH_SECONDS:
        return None
    audio = np.concatenate([window.samples() for window in windows])
    return audio[: MAX_SPEECH_SECONDS * SAMPLE_RATE]


def recognise(
    found: Mapping[str, Embedding], known: Mapping[str, Embedding]
) -> dict[str, tuple[str, float]]:
    """Which found speakers are known ones: the known name and the similarity, one to one.

    Pairs are chosen so that the sum of their similarities is largest. A pair is a match if its
    similarity is at least `MIN_SIMILARITY`, and at least `MIN_MARGIN` above every other similarity
    of either speaker.
    """
    if not found or not known:
        return {}
    found_names, known_names = list(found), list(known)
    similarity = cosine_similarity(np.array(list(found.values())), np.array(list(known.values())))
    matches = {}
    for row, column in zip(*linear_sum_assignment(-similarity), strict=True):
        best = float(similarity[row, column])
        others = (*np.delete(similarity[row], column), *np.delete(similarity[:, column], row))
        if best >= MIN_SIMILARITY and best >= max(others, default=-1.0) + MIN_MARGIN:
            matches[found_names[row]] = (known_names[column], best)
    return matches
