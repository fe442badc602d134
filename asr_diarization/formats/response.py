"""The endpoint's response in JSON, field by field: for the code, the schema and the documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, FailFast, Field, with_config

# pydantic brings this package; on Python 3.11 it cannot use the TypedDict of `typing`.
from typing_extensions import TypedDict

MAX_SECONDS = 1e9
"""No time is later, so that milliseconds stay exact."""
MAX_NAMES = 1000
"""An object whose keys are names has at most this many."""
CONFIG = ConfigDict(use_attribute_docstrings=True, strict=True, allow_inf_nan=False)


def _with_few_names(value: object) -> object:
    """Bound an object before its values are checked: the report of each bad one takes memory."""
    if isinstance(value, dict) and len(value) > MAX_NAMES:
        raise ValueError(f"should have at most {MAX_NAMES} names")
    return value


Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
"""From the start of the recording, with three decimals."""
Span = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
"""Start and end."""
Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Numbers = Annotated[list[float], FailFast()]


@with_config(CONFIG)
class ChunkJson(TypedDict):
    """One segment, as transformers' pipelines write it."""

    text: str
    """What was said."""
    timestamp: Span
    """Start and end in seconds."""


@with_config(CONFIG)
class UtteranceJson(TypedDict):
    """Consecutive segments of one speaker, joined."""

    speaker: str | None
    """Who says it; null when no turn is near."""
    text: str
    """What was said."""
    timestamp: Span
    """Start and end in seconds."""


@with_config(CONFIG)
class WordJson(TypedDict):
    """One word."""

    word: str
    """The word with its punctuation, without spaces around it."""
    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""
    probability: Share | None
    """The model's probability of the word; null when it is not known."""
    speaker: str | None
    """Who says it; null when no turn is near, or nobody was looked for."""


@with_config(CONFIG)
class SegmentJson(TypedDict):
    """A piece of transcript, about a sentence, by one speaker."""

    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""
    text: str
    """What was said."""
    speaker: str | None
    """Who says it; null when no turn is near, or nobody was looked for."""
    language: str | None
    """Code of its language, such as `en`."""
    speaker_confidence: Share | None
    """Share of its words' time in which turns have its speaker and nobody else; null without
    turns."""
    overlap: bool
    """Whether somebody else talks as well."""


@with_config(CONFIG)
class TurnJson(TypedDict):
    """A stretch of speech by one speaker, as the diarization found it."""

    speaker: Name
    """Who speaks: `SPEAKER_00`, `CHANNEL_00`, or the name of a known speaker."""
    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""


@with_config(CONFIG)
class SpeculativeJson(TypedDict):
    """Speculative decoding in figures."""

    drafted: Count
    """Tokens that the assistant drafted."""
    accepted: Count
    """Drafted tokens that the main model accepted."""
    steps: Count
    """Decoding steps of the main model."""
    draft_length: float
    """Mean number of tokens drafted for a row in a step."""


@with_config(CONFIG)
class StatsJson(TypedDict, total=False):
    """Figures about the run."""

    audio_seconds: Seconds
    """Duration of the recording."""
    speech_seconds: Seconds
    """Duration of the windows that were transcribed."""
    windows: Count
    """Number of these windows."""
    channels: Count
    """Channels that were transcribed apart."""
    seconds: Annotated[dict[str, float], BeforeValidator(_with_few_names)]
    """Seconds that each stage took."""
    speculative: SpeculativeJson
    """What the assistant did; only with `assisted`."""


@with_config(CONFIG)
class SpeechJson(TypedDict):
    """What was said in a recording, who said it, and when."""

    language: str | None
    """Code of the language that most of the speech is in; null when nothing was said."""
    duration: Seconds
    """Duration of the recording in seconds."""
    words: Annotated[list[WordJson], FailFast()]
    """Every word, segment after segment."""
    segments: Annotated[list[SegmentJson], FailFast()]
    """The transcript in pieces of one speaker and one language."""
    turns: Annotated[list[TurnJson], FailFast()]
    """The diarization itself; turns may overlap."""
    warnings: list[str]
    """Parameters that were unknown or had no effect, and why."""
    stats: StatsJson
    """Figures about the run."""


@with_config(CONFIG)
class VoicesJson(TypedDict, total=False):
    """Voices, where the request asks for them."""

    similarities: Annotated[dict[str, float], BeforeValidator(_with_few_names)]
    """How alike each recognised speaker's voice is, as a cosine; only with `known_speakers`."""
    embeddings: Annotated[dict[str, Numbers], BeforeValidator(_with_few_names)]
    """Each speaker's voice as a vector; only with `return_embeddings`."""


@with_config(CONFIG)
class TranscriptJson(SpeechJson, VoicesJson):
    """A whole transcript: every format can be written from it."""


@with_config(CONFIG)
class BlogPostJson(TypedDict):
    """What the blog post's handler returns; made from the rest."""

    text: str
    """Everything that was said, in one line."""
    chunks: list[ChunkJson]
    """The segments, as transformers' pipelines write them."""
    speakers: list[UtteranceJson]
    """The conversation: who said what, when; empty without turns."""


@with_config(CONFIG)
class ResponseJson(BlogPostJson, TranscriptJson):
    """The response of the endpoint and of `POST /predict`."""


@with_config(CONFIG)
class SegmentEventJson(TypedDict):
    """One segment while the rest is being transcribed."""

    start: Seconds
    """Where it begins, in seconds."""
    end: Seconds
    """Where it ends, in seconds."""
    text: str
    """What was said."""
    words: list[WordJson]
    """Its words; their speakers are not known yet."""
