"""The two configurations: the operator's, from the environment, and the caller's, per request.

They are never mixed. `ModelSettings` is read once, at the start. `InferenceConfig` comes with each
request and is checked before any work is done.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from asr_diarization.errors import ModelLoadError, one_line

MAX_SPEAKERS = 50
MAX_KNOWN_SPEAKERS = 20
MAX_AUDIO_TRACKS = 64
MAX_LANGUAGES = 100
MAX_KEYTERMS = 100
DEFAULT_BATCH_SIZE = 24
MAX_CPU_BATCH_SIZE = 4
"""A CPU gains nothing from more windows at once, and smaller batches show progress earlier."""
AUTOMATIC_NAME = re.compile(r"(SPEAKER|CHANNEL)_\d+")
"""Names of speakers who are not recognised."""


_MARGINS = "\ufeff\udcef\udcbb\udcbf \t\r\n"
"""Blanks, and a byte order mark: where the environment is not UTF-8, it is three surrogates."""


def _without_margins(value: object) -> object:
    """A token without what its file had around it; None if nothing is left."""
    return value.strip(_MARGINS) or None if isinstance(value, str) else value


class ModelSettings(BaseSettings):
    """What the operator decides, once per process. An empty variable counts as unset."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    asr_model: str = "openai/whisper-large-v3-turbo"
    """Whisper checkpoint: a hub id, or a directory (absolute, or inside the repository)."""
    assistant_model: str | None = None
    """Whisper checkpoint that drafts for the main one; without it, `assisted=true` is refused."""
    diarization_model: str | None = None
    """pyannote pipeline: a hub id, or a directory. Without one, only channels are told apart."""
    hf_token: Annotated[SecretStr | None, BeforeValidator(_without_margins)] = None
    """Opens gated models; passed to the libraries in memory, never written anywhere."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """Where the models run; `auto` takes CUDA, then MPS, then the CPU."""
    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """Numbers the speech model computes with; `auto` is the fastest that keeps the words."""
    capture_steps: bool = False
    """Record the decoding step as a CUDA graph and replay it; no gain on other devices."""
    max_audio_seconds: float = Field(default=4 * 3600.0, gt=0)
    """Longer recordings are refused, while they are being decoded; more than two separate channels
    may last twice that together."""


Settings = TypeVar("Settings", bound=ModelSettings)
DEVICES = "auto, cpu, mps, cuda or cuda:N"
"""The pattern of `ModelSettings.device` in words."""


def read_settings(kind: type[Settings], given: Mapping[str, Any] | None = None) -> Settings:
    """The settings `given`; the others from the environment.

    Raises:
        ModelLoadError: a variable has a value that is not allowed; each is named.
    """
    try:
        return kind(**(given or {}))
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # Without a cause, the message is the last line of the log.
        raise ModelLoadError("; ".join(map(_describe, faults))) from None


def _describe(fault: ErrorDetails) -> str:
    name = str(fault["loc"][0]).upper()
    is_secret = "KEY" in name or "TOKEN" in name
    value = "that" if is_secret else reprlib.repr(fault["input"])
    if fault["type"] == "string_pattern_mismatch":
        return f"{name} must be {DEVICES}, not {value}"
    if fault["type"] == "literal_error":
        return f"{name} must be {fault['ctx']['expected']}, not {value}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{name} {message}, not {value}"


def _reject_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004  pydantic's
    return value


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _reject_surrogates(value: object) -> object:
    """Half a character, as in broken JSON, cannot be written into an answer."""
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("should be valid Unicode")
    return value


def _as_one_line(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


def _at_most(items: int) -> BeforeValidator:
    """Check the length of a list before its items are checked."""

    def check(value: object) -> object:
        if isinstance(value, list) and len(value) > items:
            raise ValueError(f"should have at most {items} items")
        return value

    return BeforeValidator(check)


def _auto_is_none(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "auto" else value


def _auto_is_empty(value: object) -> object:
    """`auto` among languages restricts nothing."""
    is_auto = isinstance(value, list | tuple) and None in map(_auto_is_none, value)
    return () if is_auto else value


Count = Annotated[int, BeforeValidator(_reject_bool)]
Speakers = Annotated[
    # Bounds that are not beside `int` become "ge" and "le" in the JSON schema.
    Annotated[int, Field(ge=1, le=MAX_SPEAKERS), BeforeValidator(_reject_bool)] | None,
    BeforeValidator(_blank_is_none),
]
Text = Annotated[str | None, BeforeValidator(_reject_surrogates), BeforeValidator(_blank_is_none)]
LanguageName = Annotated[
    str, BeforeValidator(_reject_surrogates), Field(min_length=1, max_length=32)
]
KeyTerm = Annotated[
    str,
    BeforeValidator(_reject_surrogates),
    BeforeValidator(_as_one_line),
    Field(min_length=1, max_length=100),
]


class KnownSpeaker(BaseModel):
    """A person to recognise."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[
        str,
        BeforeValidator(_reject_surrogates),
        BeforeValidator(_as_one_line),
        Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$"),
    ]
    """What the speaker is to be called."""
    audio: Annotated[
        bytes, Strict(), WithJsonSchema({"type": "string", "contentEncoding": "base64"})
    ] = Field(min_length=1, repr=False)
    """Their voice and nobody else's, 1 to 30 s of speech; in JSON as base64 or a data: URL."""


class InferenceConfig(BaseModel):
    """What a caller may ask for. Strings as a query string carries them ("2", "true") are fine."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate` writes English whatever is spoken (multilingual models only)."""
    language: Annotated[Text, BeforeValidator(_auto_is_none)] = Field(default=None, max_length=32)
    """Spoken language: `en`, `eng`, `en-US` or `english`; detected when absent or `auto`."""
    languages: Annotated[
        tuple[LanguageName, ...],
        Field(max_length=MAX_LANGUAGES),
        _at_most(MAX_LANGUAGES),
        BeforeValidator(_auto_is_empty),
    ] = ()
    """Languages that may be spoken, `["en", "es"]`: only these are detected, segment by segment."""
    initial_prompt: Text = Field(default=None, max_length=2000)
    """Text the recording might continue: names and spellings in it are preferred."""
    keyterms: Annotated[
        tuple[KeyTerm, ...], Field(max_length=MAX_KEYTERMS), _at_most(MAX_KEYTERMS)
    ] = ()
    """Names, products and spellings to expect, `["Delmonico", "PyTorch"]`; written only where
    something like them is heard."""
    batch_size: Count = Field(default=DEFAULT_BATCH_SIZE, ge=1, le=256)
    """Most windows decoded together; fewer on a CPU, and when memory runs out."""
    chunk_length_s: float = Field(default=20.0, ge=1, le=30)
    """Longest window in seconds, cut in silence; fuller ones are cheaper and lose more words."""
    assisted: bool = False
    """Permission to decode speculatively with the assistant; in int8, close calls may differ."""
    diarize: bool = True
    """`false` leaves speakers out even where a diarization model is loaded."""
    num_speakers: Speakers = None
    """Number of speakers, when known; met if the recording has as many turns. Excludes the two
    bounds below."""
    min_speakers: Speakers = None
    """Fewest speakers to find."""
    max_speakers: Speakers = None
    """Most speakers to find."""
    channels: Literal["auto", "mix", "separate"] = "auto"
    """`separate`: each channel is a speaker, as calls are recorded; `mix`: all hear one scene;
    `auto` finds out which of two channels are."""
    audio_track: Annotated[
        Annotated[int, Field(ge=1, le=MAX_AUDIO_TRACKS), BeforeValidator(_reject_bool)] | None,
        BeforeValidator(_blank_is_none),
    ] = None
    """Number of the audio track, from 1, in a file with several; without it, that of a player, or
    the one with speech if that one has none."""
    known_speakers: Annotated[
        tuple[KnownSpeaker, ...],
        Field(max_length=MAX_KNOWN_SPEAKERS),
        _at_most(MAX_KNOWN_SPEAKERS),
    ] = ()
    """People to recognise, `[{"name": "Ann", "audio": "<base64>"}]`: 1 to 30 s of voice each."""
    return_embeddings: bool = False
    """Whether each speaker's voice is returned as a vector, to compare with other recordings."""
    sampling_rate: Count = Field(default=16000, ge=1000, le=768000)
    """Accepted for compatibility and not used: the recording itself says its rate."""

    @property
    def speaker_bounds(self) -> tuple[int, float]:
        """The lowest and the highest number of speakers; infinite without an upper bound."""
        exact = self.num_speakers
        return exact or self.min_speakers or 1, exact or self.max_speakers or math.inf

    @model_validator(mode="after")
    def _check_speakers(self) -> Self:
        if self.num_speakers is not None and (self.min_speakers or self.max_speakers) is not None:
            raise ValueError(
                "num_speakers excludes min_speakers and max_speakers; give one or the other"
            )
        if (self.min_speakers or 1) > (self.max_speakers or MAX_SPEAKERS):
            raise ValueError(
                f"min_speakers ({self.min_speakers}) must not exceed "
                f"max_speakers ({self.max_speakers})"
            )
        names = [speaker.name for speaker in self.known_speakers]
        if duplicate := next((n for n in names if names.count(n) > 1), None):
            raise ValueError(f"known_speakers has two speakers called {duplicate!r}")
        if taken := next(filter(AUTOMATIC_NAME.fullmatch, names), None):
            raise ValueError(f"known_speakers must not be called {taken!r}, as unknown ones are")
        return self
