"""Warnings about parameters of a request that had no effect, and about voices not told apart."""

from __future__ import annotations

from collections.abc import Sequence

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Diarization

SPEAKER_COUNTS = ("num_speakers", "min_speakers", "max_speakers")
EMBEDDING_USES = ("known_speakers", "return_embeddings")
MIN_TURN_TAKING = 0.1
"""One voice is segmented as two in 0 to 4 % of its chunks, conversations in 14 to 97 %
(docs/quality.md)."""


def ineffective_parameters(
    parameters: InferenceConfig, diarization: Diarization, channels: int, *, has_diarizer: bool
) -> tuple[str, ...]:
    """A sentence for each parameter that had no effect, or less than requested, or was missed.

    Args:
        parameters: of the request.
        diarization: what was found.
        channels: the number of channels that were transcribed separately.
        has_diarizer: whether a diarization model is loaded.
    """
    if not has_diarizer or not parameters.diarize:
        why = "diarize=false" if has_diarizer else "no DIARIZATION_MODEL is set"
        warnings = [_no_effect(parameters, (*SPEAKER_COUNTS, *EMBEDDING_USES), why)]
    elif channels > 1:
        why = "each channel is one speaker"
        missing = _missing_embeddings(parameters, diarization)
        warnings = [_no_effect(parameters, SPEAKER_COUNTS, why), missing]
    else:
        missing = _missing_embeddings(parameters, diarization)
        warnings = [_too_few_speakers(parameters, diarization), missing]
    if parameters.language is not None:
        warnings.append(_no_effect(parameters, ("languages",), "language is given"))
    if channels == 1 and parameters.channels == "separate":
        why = "the recording has one channel" if parameters.diarize else "diarize=false"
        warnings.append(_no_effect(parameters, ("channels",), why))
    return tuple(filter(None, warnings))


def _no_effect(parameters: InferenceConfig, names: Sequence[str], why: str) -> str | None:
    given = [name for name in names if getattr(parameters, name) not in (None, (), False)]
    return f"{', '.join(given)} has no effect: {why}" if given else None


def _too_few_speakers(parameters: InferenceConfig, diarization: Diarization) -> str | None:
    """A sentence if fewer speakers were found than the caller says, or than seem to talk."""
    found = len({turn.speaker for turn in diarization.turns})
    name = "num_speakers" if parameters.num_speakers else "min_speakers"
    wanted, most = getattr(parameters, name) or 0, parameters.speaker_bounds[1]
    if 0 < found < wanted:
        return f"{name} is {wanted}, but the recording has turns of {found} only"
    if found == 1 and most > 1 and diarization.turn_taking >= MIN_TURN_TAKING:
        return (
            "one speaker was found, but the recording sounds like a conversation: if you know how "
            "many people talk, give num_speakers"
        )
    return None


def _missing_embeddings(parameters: InferenceConfig, diarization: Diarization) -> str | None:
    """A sentence if speakers cannot be recognised or described as requested."""
    speakers = sorted({turn.speaker for turn in diarization.turns} - set(diarization.embeddings))
    why = f"{', '.join(speakers)} said too little for an embedding"
    return _no_effect(parameters, EMBEDDING_USES, why) if speakers else None
