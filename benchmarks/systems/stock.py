"""pyannote as its users call it: the whole waveform at once, without our code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.transcript import Diarization, Turn


class StockDiarizer:
    """`pyannote.audio.Pipeline`, version 4."""

    def __init__(self, models: Path) -> None:
        from pyannote.audio import Pipeline

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the local checkpoints name older versions
            self._pipeline = Pipeline.from_pretrained(str(models / "diarization"))

    def diarize(self, waveform: Waveform, num_speakers: int | None = None) -> Diarization:
        """The turns; empty if nobody speaks."""
        sound = {"waveform": torch.from_numpy(waveform)[None], "sample_rate": SAMPLE_RATE}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            output = self._pipeline(sound, num_speakers=num_speakers)
        regular = tuple(sorted(_turns(output.speaker_diarization)))
        return Diarization(regular, tuple(sorted(_turns(output.exclusive_speaker_diarization))))


def _turns(annotation: Any) -> Iterator[Turn]:
    for segment, _, speaker in annotation.itertracks(yield_label=True):
        yield Turn(max(0.0, segment.start), segment.end, speaker)
