"""The data types of a transcript: turns, words, segments and what contains them.

Times are float seconds from the start of the file, half-open `[start, end)`. Values are frozen;
methods return new ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol


class Span(Protocol):
    """Anything with a start and an end, in seconds."""

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

    `text` begins with a space if the script writes one there, so that words joined give the text in
    every language. `probability` is the model's, in [0, 1].
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
    """About a sentence; all of it is by one speaker once speakers are assigned.

    `words` joined give `text`, except for outer spaces. They are empty if word times are unknown.
    `confidence` is the share of the words' time in which only `speaker` has a turn.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    language: str | None = None
    overlap: bool = False
    """Whether other people talk at the same time."""
    confidence: float | None = None

    def __post_init__(self) -> None:
        _check_span("segment", self.start, self.end)

    @property
    def word_probability(self) -> float:
        """The geometric mean of its words' probabilities; 1.0 if none is known."""
        known = [word.probability for word in self.words if word.probability is not None]
        if not known:
            return 1.0
        return math.exp(sum(math.log(max(one, 1e-6)) for one in known) / len(known))

    def with_speaker(self, speaker: str) -> Segment:
        """The same segment, it and its words by `speaker`."""
        words = tuple(replace(word, speaker=speaker) for word in self.words)
        return replace(self, words=words, speaker=speaker)

    def renamed(self, names: Mapping[str, str]) -> Segment:
        """The same segment; a speaker in `names` gets the new name."""
        name = names.get(self.speaker or "")
        return self.with_speaker(name) if name else self


@dataclass(frozen=True, slots=True)
class Diarization:
    """The result of a diarizer.

    `turns` may overlap and are sorted by start. `exclusive` holds the same speech with one speaker
    at a time; it equals `turns` if no turns overlap. `embeddings` has one vector per speaker,
    except for those who say too little. `turn_taking` is the share of the recording's chunks in
    which two people are heard, whoever they are, before speakers are told apart; in [0, 1].
    """

    turns: tuple[Turn, ...] = ()
    exclusive: tuple[Turn, ...] = ()
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    turn_taking: float = 0.0

    def renamed(self, names: Mapping[str, str]) -> Diarization:
        """The same diarization; speakers in `names` get new names."""

        def rename(turns: Iterable[Turn]) -> tuple[Turn, ...]:
            return tuple(replace(t, speaker=names.get(t.speaker, t.speaker)) for t in turns)

        embeddings = {names.get(name, name): vector for name, vector in self.embeddings.items()}
        return replace(
            self,
            turns=rename(self.turns),
            exclusive=rename(self.exclusive),
            embeddings=embeddings,
        )


@dataclass(frozen=True, slots=True)
class Transcription:
    """The result of a transcriber: the segments of each window, without speakers.

    `stats` are figures about the run, JSON-ready.
    """

    windows: tuple[tuple[Segment, ...], ...] = ()
    stats: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transcript:
    """Who said what, when, in one recording of `duration` seconds.

    `language` is the code (such as `en`) of most of the speech, None if there is none.
    `similarities` has the cosine similarity of each recognised speaker; `embeddings` has one vector
    per speaker, if requested. `stats` are figures about the run itself, JSON-ready.
    """

    language: str | None
    duration: float
    segments: tuple[Segment, ...] = ()
    turns: tuple[Turn, ...] = ()
    warnings: tuple[str, ...] = ()
    stats: Mapping[str, object] = field(default_factory=dict)
    similarities: Mapping[str, float] = field(default_factory=dict)
    embeddings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
