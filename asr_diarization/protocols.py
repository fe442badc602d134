"""What the core needs of its models, and how work reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Diarization, Segment, Transcription

if TYPE_CHECKING:  # doors that only show progress run where no audio library does
    from asr_diarization.audio.decode import Waveform
    from asr_diarization.audio.windows import Window


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come: `done` of `total`, in whatever the stage counts."""

    stage: str
    """`decode`, `diarize` or `transcribe`."""
    done: float
    total: float
    segments: tuple[Segment, ...] = ()
    """What was newly transcribed, its speakers not yet known."""
    waveforms: tuple[Waveform, ...] = field(default=(), repr=False, compare=False)
    """What was decoded, with that stage: one, or one for each channel heard apart."""


OnProgress = Callable[[Progress], None]
"""Called after every batch; whatever it raises stops the work there."""


def ignore_progress(_: Progress) -> None:
    """For callers who only want the result."""


class Transcriber(Protocol):
    """Turns speech windows into segments."""

    has_assistant: bool
    """Whether it can decode speculatively."""

    def check(self, parameters: InferenceConfig) -> None:
        """Raise `InvalidParameterError` for what it cannot do, before any work is done."""

    def transcribe(
        self, windows: Sequence[Window], parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcription:
        """The segments of each window, in times of its recording, sorted; () for silence."""
        ...


class Diarizer(Protocol):
    """Turns a waveform into turns."""

    def diarize(
        self, waveform: Waveform, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Diarization:
        """Who speaks when; empty when nobody does."""
        ...

    def voice(self, waveform: Waveform) -> tuple[float, ...]:
        """The vector of one speaker, to compare with those of `Diarization.embeddings`.

        The waveform lasts at least a second and holds nobody else's speech.
        """
        ...


class SpeechDetector(Protocol):
    """Says where somebody speaks."""

    def probabilities(self, waveform: Waveform) -> NDArray[np.float32]:
        """Probability of speech in each 32 ms."""
        ...
