"""Results of the systems, with conversion to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from asr_diarization.transcript import Diarization, Segment, Transcript, Turn, Word


@dataclass(frozen=True, slots=True)
class MergeInput:
    """The input of a merge: words without speakers, and the diarization."""

    segments: tuple[Segment, ...]
    diarization: Diarization


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a pipeline on a recording."""

    transcript: Transcript
    failure: str | None = None
    """The exception that it raised; then the transcript has turns at most."""


def to_json(value: MergeInput | Outcome) -> dict[str, Any]:
    """Lists and dicts, not rounded."""
    return asdict(value)


def merge_input_from_json(value: Mapping[str, Any]) -> MergeInput:
    """The inverse of `to_json`."""
    return MergeInput(_segments(value["segments"]), diarization_from_json(value["diarization"]))


def outcome_from_json(value: Mapping[str, Any]) -> Outcome:
    """The inverse of `to_json`."""
    made = value["transcript"]
    transcript = Transcript(
        made["language"],
        made["duration"],
        _segments(made["segments"]),
        turns_from_json(made["turns"]),
        tuple(made["warnings"]),
    )
    return Outcome(transcript, value["failure"])


def diarization_from_json(value: Mapping[str, Any]) -> Diarization:
    """A diarization with turns only; speaker embeddings are not stored."""
    return Diarization(turns_from_json(value["turns"]), turns_from_json(value["exclusive"]))


def turns_from_json(value: list[dict[str, Any]]) -> tuple[Turn, ...]:
    """A list of turns."""
    return tuple(Turn(**turn) for turn in value)


def _segments(value: list[dict[str, Any]]) -> tuple[Segment, ...]:
    return tuple(
        Segment(**segment | {"words": tuple(Word(**word) for word in segment["words"])})
        for segment in value
    )
