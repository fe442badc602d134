"""Interfaces of the models that the pipeline uses, and the progress that they report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Diarization, Segment, Transcription

if TYPE_CHECKING:  # code that only shows progress runs without audio libraries
    from asr_diarization.audio.decode import Waveform
    from asr_diarization.audio.windows import Window


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a stage: `done` of `total`, in a unit of the stage."""

    stage: str
    """`decode`, `find_speech`, `diarize` or `transcribe`."""
    done: float
    """0 where nothing is done yet that can be told: only a chance to stop the work."""
    total: float
    segments: tuple[Segment, ...] = ()
    """New segments, without speakers."""
    waveforms: tuple[Waveform, ...] = field(default=(), repr=False, compare=False)
    """The decoded audio, in the stage `decode`: one waveform, or one per separate channel."""


OnProgress = Callable[[Progress], None]
"""Called after every batch; an exception it raises stops the work."""


def ignore_progress(_: Progress) -> None:
    """An `OnProgress` that does nothing."""


class Transcriber(Protocol):
    """Speech windows -> segments."""

    has_assistant: bool
    """Whether it has an assistant model for speculative decoding."""

    def check(self, parameters: InferenceConfig) -> None:
        """Raise `InvalidParameterError` for parameters that the model cannot meet."""

    def transcribe(
        self, windows: Sequence[Window], parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcription:
        """The segments of each window, sorted, with times of the recording; () for silence."""
        ...


class Diarizer(Protocol):
    """A waveform -> turns of speakers."""

    def diarize(
        self, waveform: Waveform, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Diarization:
        """Who speaks when; empty when nobody speaks."""
        ...

    def embed(self, waveform: Waveform) -> tuple[float, ...]:
        """The embedding of one speaker, comparable with those of `Diarization.embeddings`.

        The waveform lasts at least a second, and only one person speaks in it.
        """
        ...


class SpeechDetector(Protocol):
    """Voice activity detection."""

    def probabilities(
        self, waveform: Waveform, on_block: Callable[[], None]
    ) -> NDArray[np.float32]:
        """The probability of speech in each step of 32 ms.

        `on_block` is called every few minutes of audio; an exception it raises stops the work.
        """
        ...
