"""Engines like any other, but scripted: what they say is known, and they record their calls."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping, Sequence

import numpy as np

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.audio.windows import STEP_SECONDS
from asr_diarization.config import ModelSettings
from asr_diarization.errors import InvalidParameterError
from asr_diarization.pipeline import Pipeline
from asr_diarization.protocols import Progress
from asr_diarization.transcript import Diarization, Segment, Transcription, Turn, Word

STEP_SAMPLES = round(STEP_SECONDS * SAMPLE_RATE)


def wav(seconds: float, rate: int = SAMPLE_RATE, hertz: float = 220.0) -> bytes:
    """A tone as a WAV file."""
    tone = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((tone * 10000).astype("<i2").tobytes())
    return buffer.getvalue()


def say(text: str, start: float, end: float, language: str | None = "en") -> Segment:
    """A segment whose words share its time equally."""
    spoken = text.split()
    step = (end - start) / len(spoken)
    words = tuple(
        Word((" " if i else "") + word, start + i * step, start + (i + 1) * step, 0.5)
        for i, word in enumerate(spoken)
    )
    return Segment(start, end, text, words, language=language)


class ScriptedTranscriber:
    """Hears the segments of its script whose middle lies in a window."""

    def __init__(self, script: Sequence[Segment] = (), *, has_assistant: bool = False) -> None:
        self.script, self.has_assistant = tuple(script), has_assistant
        self.calls: list = []
        self.error: BaseException | None = None

    def check(self, parameters) -> None:
        if parameters.language == "klingon":
            raise InvalidParameterError("language 'klingon' is not known to this model")

    def transcribe(self, windows, parameters, on_progress):
        self.calls.append((tuple(windows), parameters))
        if self.error:
            raise self.error
        heard = []
        for done, window in enumerate(windows, start=1):
            heard.append(
                tuple(s for s in self.script if window.start <= (s.start + s.end) / 2 < window.end)
            )
            on_progress(Progress("transcribe", done, len(windows), heard[-1]))
        return Transcription(tuple(heard))


class ScriptedDiarizer:
    """Finds the turns of its script; an embedding is its waveform's mean, as an angle."""

    def __init__(
        self,
        turns: Sequence[Turn] = (),
        exclusive: Sequence[Turn] | None = None,
        embeddings: Mapping[str, tuple[float, ...]] | None = None,
        turn_taking: float = 0.0,
    ) -> None:
        self.turns, self.embeddings = tuple(turns), embeddings or {}
        self.turn_taking = turn_taking
        self.exclusive = self.turns if exclusive is None else tuple(exclusive)
        self.calls: list = []
        self.error: BaseException | None = None

    def diarize(self, waveform, parameters, on_progress):
        self.calls.append((len(waveform), parameters))
        if self.error:
            raise self.error
        on_progress(Progress("diarize", 1, 1))
        return Diarization(self.turns, self.exclusive, self.embeddings, self.turn_taking)

    def embed(self, waveform):
        angle = float(np.mean(waveform)) * np.pi
        return (float(np.cos(angle)), float(np.sin(angle)))


class ScriptedSpeech:
    """Is sure of speech within its spans, of silence elsewhere; None: speech everywhere."""

    def __init__(self, spans: Sequence[tuple[float, float]] | None = None) -> None:
        self.spans, self.blocks = spans, 1

    def probabilities(self, waveform, on_block=lambda: None):
        for _ in range(self.blocks):
            on_block()
        steps = -(-len(waveform) // STEP_SAMPLES)
        if self.spans is None:
            return np.ones(steps, dtype=np.float32)
        middles = (np.arange(steps) + 0.5) * STEP_SECONDS
        spoken = np.zeros(steps, dtype=bool)
        for start, end in self.spans:
            spoken |= (start <= middles) & (middles < end)
        return spoken.astype(np.float32)


def pipeline(transcriber=None, diarizer=None, speech=None, **settings) -> Pipeline:
    """A pipeline of fakes."""
    return Pipeline(
        transcriber or ScriptedTranscriber(),
        diarizer,
        speech or ScriptedSpeech(),
        ModelSettings(**settings),
    )
