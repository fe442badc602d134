"""What the core needs of its models: three narrow protocols, and adapters elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.windows import Window
from asr_diarization.progress import OnProgress
from config import InferenceConfig
from diarization_utils import Diarization, Transcription


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
