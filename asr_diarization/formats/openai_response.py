"""OpenAI's response formats in JSON, field by field; additions of ours are marked as such."""

from __future__ import annotations

from typing import NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from asr_diarization.formats.response import CONFIG, Seconds, WordJson


@with_config(CONFIG)
class VerboseSegmentJson(TypedDict):
    """A segment as in OpenAI's `verbose_json`."""

    id: int
    """Its place among the segments, from 0."""
    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""
    text: str
    """What was said."""


@with_config(CONFIG)
class VerboseWordJson(TypedDict):
    """A word as in OpenAI's `verbose_json`."""

    word: str
    """The word with its punctuation."""
    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""


@with_config(CONFIG)
class TextJson(TypedDict):
    """OpenAI's `json`."""

    text: str
    """Everything that was said, in one line."""
    warnings: NotRequired[list[str]]
    """Parameters that were unknown or had no effect; not OpenAI's."""


@with_config(CONFIG)
class VerboseJson(TextJson):
    """OpenAI's `verbose_json`."""

    task: str
    """`transcribe` or `translate`."""
    language: str | None
    """Code of the language that most of the speech is in."""
    duration: Seconds
    """Duration of the recording in seconds."""
    segments: NotRequired[list[VerboseSegmentJson]]
    """Unless `timestamp_granularities` leaves them out."""
    words: NotRequired[list[VerboseWordJson]]
    """When `timestamp_granularities` has `word`."""


@with_config(CONFIG)
class DiarizedSegmentJson(TypedDict):
    """A segment as in OpenAI's `diarized_json`."""

    type: str
    """Always `transcript.text.segment`."""
    id: str
    """`seg_0`, `seg_1`, ..."""
    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""
    text: str
    """What was said."""
    speaker: str
    """Who says it; `UNKNOWN` when nobody was found."""
    words: list[WordJson]
    """Its words; not OpenAI's."""


@with_config(CONFIG)
class DiarizedJson(TextJson):
    """OpenAI's `diarized_json`."""

    task: str
    """`transcribe` or `translate`."""
    duration: Seconds
    """Duration of the recording in seconds."""
    segments: list[DiarizedSegmentJson]
    """Who said what, when."""
