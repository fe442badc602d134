"""The values that everything else passes around: who said what, when.

Times are float seconds from the start of the file, half-open `[start, end)`. Values are frozen;
methods return new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol


class Span(Protocol):
    """Anything with a beginning and an end, in seconds."""

    @property
    def start(self) -> float:
        """Its first moment."""
        ...

    @property
    def end(self) -> float:
        """The moment after its last."""
        ...


def _check_span(kind: str, start: float, end: float) -> None:
    if not 0 <= start <= end:
        raise ValueError(f"a {kind} must satisfy 0 <= start <= end, got {start} and {end}")


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A stretch of speech by one speaker."""

    start: float
    end: float
    speaker: str

    def __post_init__(self) -> None:
        _check_span("turn", self.start, self.end)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as written, punctuation included.

    `text` keeps the space in front of it where the script writes one, so that words joined give
    the text back in every language. `probability` is the model's, in [0, 1].
    """

    text: str
    start: float
    end: float
    probability: float | None = None
    speaker: str | None = None

    def __post_init__(self) -> None:
        _check_span("word", self.start, self.end)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of transcript, about a sentence; by one speaker once speakers are assigned.

    `words` joined give `text`, up to outer spaces; it is empty when no word times are known.
    `confidence` is the share of its words' time in which turns have its speaker, and nobody else.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    language: str | None = None
    overlap: bool = False
    """Whether somebody else talks as well."""
    confidence: float | None = None

    def __post_init__(self) -> None:
        _check_span("segment", self.start, self.end)

    def attributed(self, speaker: str) -> Segment:
        """The same segment, all of it by one speaker."""
        words = tuple(replace(word, speaker=speaker) for word in self.words)
        return replace(self, words=words, speaker=speaker)

    def renamed(self, names: Mapping[str, str]) -> Segment:
        """The same segment; its speaker, if in `names`, is called so."""
        name = names.get(self.speaker or "")
        return self.attributed(name) if name else self


@dataclass(frozen=True, slots=True)
class Diarization:
    """What a diarizer found.

    `turns` may overlap and are sorted by start. `exclusive` holds the same speech with one speaker
    at a time; it equals `turns` when nobody overlaps. `embeddings` has one vector per speaker.
    """

    turns: tuple[Turn, ...] = ()
    exclusive: tuple[Turn, ...] = ()
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> Diarization:
        """The same turns and voices; speakers in `names` are called so."""

        def rename(turns: Iterable[Turn]) -> tuple[Turn, ...]:
            return tuple(replace(t, speaker=names.get(t.speaker, t.speaker)) for t in turns)

        voices = {names.get(name, name): vector for name, vector in self.embeddings.items()}
        return Diarization(rename(self.turns), rename(self.exclusive), voices)


@dataclass(frozen=True, slots=True)
class Transcription:
    """What a transcriber heard: the segments of each window it was given, speakers not yet known.

    `stats` are figures about the run, JSON-ready.
    """

    windows: tuple[tuple[Segment, ...], ...] = ()
    stats: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transcript:
    """Who said what, when, in one recording of `duration` seconds.

    `language` is the code (such as `en`) that most of the speech is in, None when nothing was said.
    `similarities` says how well each recognised speaker's voice fits, as a cosine; `embeddings` has
    one vector per speaker, when asked for. `stats` are figures about the run itself, JSON-ready.
    """

    language: str | None
    duration: float
    segments: tuple[Segment, ...] = ()
    turns: tuple[Turn, ...] = ()
    warnings: tuple[str, ...] = ()
    stats: Mapping[str, object] = field(default_factory=dict)
    similarities: Mapping[str, float] = field(default_factory=dict)
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
