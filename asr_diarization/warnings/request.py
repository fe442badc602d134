"""Warnings about parameters of a request that had no effect."""

from __future__ import annotations

from collections.abc import Sequence

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Turn

SPEAKER_COUNTS = ("num_speakers", "min_speakers", "max_speakers")
EMBEDDING_USES = ("known_speakers", "return_embeddings")


def ineffective_parameters(
    parameters: InferenceConfig, turns: Sequence[Turn], channels: int, *, has_diarizer: bool
) -> tuple[str, ...]:
    """A sentence for each parameter that had no effect, or less than requested.

    Args:
        parameters: of the request.
        turns: the turns that were found.
        channels: the number of channels that were transcribed separately.
        has_diarizer: whether a diarization model is loaded.
    """
    if not has_diarizer or not parameters.diarize:
        why = "diarize=false" if has_diarizer else "no DIARIZATION_MODEL is set"
        warnings = [_no_effect(parameters, (*SPEAKER_COUNTS, *EMBEDDING_USES), why)]
    elif channels > 1:
        warnings = [_no_effect(parameters, SPEAKER_COUNTS, "each channel is one speaker")]
    else:
        warnings = [_too_few_speakers(parameters, len({turn.speaker for turn in turns}))]
    if parameters.language is not None:
        warnings.append(_no_effect(parameters, ("languages",), "language is given"))
    if channels == 1 and parameters.channels == "separate":
        why = "the recording has one channel" if parameters.diarize else "diarize=false"
        warnings.append(_no_effect(parameters, ("channels",), why))
    return tuple(filter(None, warnings))


def _no_effect(parameters: InferenceConfig, names: Sequence[str], why: str) -> str | None:
    given = [name for name in names if getattr(parameters, name) not in (None, (), False)]
    return f"{', '.join(given)} has no effect: {why}" if given else None


def _too_few_speakers(parameters: InferenceConfig, found: int) -> str | None:
    name = "num_speakers" if parameters.num_speakers else "min_speakers"
    wanted = getattr(parameters, name) or 0
    if not 0 < found < wanted:
        return None
    return f"{name} is {wanted}, but only {found} can be told apart by their voices"
