"""What a request asked for in vain, and why: its `warnings`."""

from __future__ import annotations

from collections.abc import Sequence

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Turn

COUNTS = ("num_speakers", "min_speakers", "max_speakers")
VOICES = ("known_speakers", "return_embeddings")


def without_effect(
    parameters: InferenceConfig, turns: Sequence[Turn], channels: int, *, diarizes: bool
) -> tuple[str, ...]:
    """A sentence for everything that had no effect, or less than was asked for.

    Args:
        parameters: of the request.
        turns: that were found.
        channels: how many were heard apart.
        diarizes: whether there is a diarization model at all.
    """
    if not diarizes or not parameters.diarize:
        why = "diarize=false" if diarizes else "no DIARIZATION_MODEL is set"
        found = [_pointless(parameters, (*COUNTS, *VOICES), why)]
    elif channels > 1:
        found = [_pointless(parameters, COUNTS, "each channel is one speaker")]
    else:
        found = [_too_few(parameters, len({turn.speaker for turn in turns}))]
    if channels == 1 and parameters.channels == "separate":
        why = "the recording has one channel" if parameters.diarize else "diarize=false"
        found.append(_pointless(parameters, ("channels",), why))
    return tuple(filter(None, found))


def _pointless(parameters: InferenceConfig, names: Sequence[str], why: str) -> str | None:
    asked = [name for name in names if getattr(parameters, name) not in (None, (), False)]
    return f"{', '.join(asked)} has no effect: {why}" if asked else None


def _too_few(parameters: InferenceConfig, found: int) -> str | None:
    name = "num_speakers" if parameters.num_speakers else "min_speakers"
    wanted = getattr(parameters, name) or 0
    if not 0 < found < wanted:
        return None
    return f"{name} is {wanted}, but only {found} can be told apart by their voices"
