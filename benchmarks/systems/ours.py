"""Our pipeline, with its words before the merge and its turns recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr_diarization.assembly import load_pipeline
from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.windows import Window
from asr_diarization.config import InferenceConfig, ModelSettings
from asr_diarization.protocols import Diarizer, OnProgress, Transcriber
from asr_diarization.transcript import Diarization, Segment, Transcript, Transcription
from benchmarks.systems.values import MergeInput


class Ours:
    """The pipeline of `load_pipeline` with the local models."""

    def __init__(self, models: Path, precision: str, rules: Mapping[str, float]) -> None:
        """`rules` replaces fields of `WindowRules`."""
        settings = ModelSettings(
            asr_model=str(models / "whisper-base"),
            diarization_model=str(models / "diarization"),
            assistant_model=None,
            device="cpu",
            precision=precision,
        )
        self._pipeline = pipeline = load_pipeline(settings)
        # Private attributes are replaced, since only a measurement needs this.
        pipeline._rules = replace(pipeline._rules, **rules)  # noqa: SLF001
        self._words = _RecordingTranscriber(pipeline._transcriber)  # noqa: SLF001
        pipeline._transcriber = self._words  # noqa: SLF001
        assert pipeline._diarizer is not None  # noqa: SLF001
        self._turns = _RecordingDiarizer(pipeline._diarizer)  # noqa: SLF001
        pipeline._diarizer = self._turns  # noqa: SLF001

    def __call__(
        self, audio: bytes, num_speakers: int | None = None, language: str | None = None
    ) -> tuple[MergeInput, Transcript]:
        """The input of the merge, and the transcript."""
        self._words.segments, self._turns.diarization = [], Diarization()
        parameters = InferenceConfig(num_speakers=num_speakers, language=language)
        transcript = self._pipeline(audio, parameters)
        # What the pipeline did not believe is no input of the merge.
        said = {(w.text, w.start) for segment in transcript.segments for w in segment.words}
        heard = tuple(
            segment
            for segment in sorted(self._words.segments, key=lambda segment: segment.start)
            if any((word.text, word.start) in said for word in segment.words)
        )
        return MergeInput(heard, self._turns.diarization), transcript


class _RecordingTranscriber:
    """Calls the wrapped transcriber and keeps its segments."""

    def __init__(self, inner: Transcriber) -> None:
        self._inner = inner
        self.has_assistant = inner.has_assistant
        self.segments: list[Segment] = []

    def check(self, parameters: InferenceConfig) -> None:
        self._inner.check(parameters)

    def transcribe(
        self, windows: Sequence[Window], parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcription:
        transcription = self._inner.transcribe(windows, parameters, on_progress)
        self.segments.extend(segment for window in transcription.windows for segment in window)
        return transcription


class _RecordingDiarizer:
    """Calls the wrapped diarizer and keeps its turns."""

    def __init__(self, inner: Diarizer) -> None:
        self._inner = inner
        self.diarization = Diarization()

    def diarize(
        self, waveform: Waveform, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Diarization:
        self.diarization = self._inner.diarize(waveform, parameters, on_progress)
        return self.diarization
