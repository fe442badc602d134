"""Who a speaker is: voices given by name, compared with those found in the recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform, decode_audio
from asr_diarization.audio.windows import Window
from asr_diarization.config import KnownSpeaker
from asr_diarization.errors import AudioTooLongError, InvalidAudioError, InvalidParameterError

Vector = tuple[float, ...]
"""A voice; the cosine of two says how alike they are."""

MAX_SAMPLE_SECONDS = 60.0
"""Of the recording of a voice, silence included."""
MIN_SPEECH_SECONDS = 1.0
"""Less says too little about a voice."""
MAX_SPEECH_SECONDS = 30
"""More says nothing new."""
MIN_SIMILARITY = 0.5
"""A voice less alike is somebody else's (docs/quality.md)."""
MIN_MARGIN = 0.1
"""By so much it must be more alike than any other voice on either side."""


def decode_voice(known: KnownSpeaker) -> Waveform:
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


def speech_of(windows: Iterable[Window]) -> Waveform | None:
    """What is said in the windows of one recording: up to 30 s; None when it is hardly anything."""
    windows = tuple(windows)
    if sum(run.duration for window in windows for run in window.speech) < MIN_SPEECH_SECONDS:
        return None
    spoken = np.concatenate([window.samples() for window in windows])
    return spoken[: MAX_SPEECH_SECONDS * SAMPLE_RATE]


def recognise(
    found: Mapping[str, Vector], known: Mapping[str, Vector]
) -> dict[str, tuple[str, float]]:
    """Which found speakers are known ones: the known name and the similarity, one to one.

    Pairs are chosen so that all similarities together are largest; one counts when it is at least
    `MIN_SIMILARITY`, and `MIN_MARGIN` above every other of the same voice.
    """
    if not found or not known:
        return {}
    similarity = _unit(found) @ _unit(known).T
    names, people = list(found), list(known)
    pairs = {}
    for row, column in zip(*linear_sum_assignment(-similarity), strict=True):
        value = float(similarity[row, column])
        others = (*np.delete(similarity[row], column), *np.delete(similarity[:, column], row))
        if value >= MIN_SIMILARITY and value >= max(others, default=-1.0) + MIN_MARGIN:
            pairs[names[row]] = (people[column], value)
    return pairs


def _unit(vectors: Mapping[str, Vector]) -> NDArray[np.float64]:
    rows = np.array(list(vectors.values()), dtype=np.float64)
    unit: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit
