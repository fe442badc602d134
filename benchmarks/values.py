"""Transcripts and their parts as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from asr_diarization.transcript import Diarization, Segment, Transcript, Turn, Word


@dataclass(frozen=True, slots=True)
class Heard:
    """What a merge gets: words without speakers, and who spoke when."""

    segments: tuple[Segment, ...]
    diarization: Diarization


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pipeline made of a recording."""

    transcript: Transcript
    failure: str | None = None
    """The exception it raised instead; the transcript is empty then, apart from its turns."""


def to_json(value: Heard | Outcome) -> dict[str, Any]:
    """Plain lists and dicts; nothing is rounded."""
    return asdict(value)


def heard_from_json(value: Mapping[str, Any]) -> Heard:
    """The inverse of `to_json`."""
    return Heard(_segments(value["segments"]), diarization_from_json(value["diarization"]))


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
    """Turns only; speaker vectors are not kept."""
    return Diarization(turns_from_json(value["turns"]), turns_from_json(value["exclusive"]))


def turns_from_json(value: list[dict[str, Any]]) -> tuple[Turn, ...]:
    """A list of turns."""
    return tuple(Turn(**turn) for turn in value)


def _segments(value: list[dict[str, Any]]) -> tuple[Segment, ...]:
    return tuple(
        Segment(**segment | {"words": tuple(Word(**word) for word in segment["words"])})
        for segment in value
    )
