"""faster-whisper with the settings of a user who wants speed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr_diarization.audio.decode import Waveform
from asr_diarization.transcript import Segment, Word

BATCH_SIZE = 24


class FasterWhisper:
    """faster-whisper's model with Silero VAD and word times, batched or not."""

    def __init__(
        self,
        models: Path,
        compute_type: str,
        *,
        threads: int = 1,
        batched: bool = True,
        beams: int = 5,
    ) -> None:
        """`compute_type` is `float32` or `int8`; five beams are faster-whisper's default."""
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        path = str(models / "ct2" / "whisper-base")
        model = WhisperModel(path, device="cpu", compute_type=compute_type, cpu_threads=threads)
        self._transcribe = model.transcribe
        self._options: dict[str, Any] = {
            "vad_filter": True,
            "word_timestamps": True,
            "beam_size": beams,
        }
        if batched:
            self._transcribe = BatchedInferencePipeline(model).transcribe
            self._options["batch_size"] = BATCH_SIZE

    def transcribe(self, waveform: Waveform, language: str | None = None) -> tuple[Segment, ...]:
        """Segments with words; empty if its VAD finds no speech."""
        try:
            segments, info = self._transcribe(waveform, language=language, **self._options)
        except ValueError as error:
            if "empty" not in str(error):  # language detection fails without any window
                raise
            return ()
        return tuple(_segments(segments, info.language))


def _segments(segments: Iterable[Any], language: str) -> Iterable[Segment]:
    for segment in segments:
        words = tuple(
            Word(word.word, max(0.0, word.start), max(0.0, word.start, word.end), word.probability)
            for word in segment.words or ()
        )
        end = max(segment.start, segment.end)
        yield Segment(segment.start, end, segment.text.strip(), words, None, language)
