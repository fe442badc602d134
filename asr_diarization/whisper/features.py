"""The log-mel spectrogram: Whisper's input, computed from samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_diarization.audio.decode import Waveform

FFT_SAMPLES = 400
HOP_SAMPLES = 160
"""10 ms; the encoder halves it to frames of 20 ms."""
FRAME_SAMPLES = 2 * HOP_SAMPLES


class LogMel:
    """Log-mel features as transformers' `WhisperFeatureExtractor` computes them, for any length."""

    def __init__(self, filters: NDArray[np.float64], device: torch.device) -> None:
        """Args: filters: (frequencies, mels), the checkpoint's own."""
        self._filters = torch.from_numpy(np.asarray(filters, dtype=np.float32)).T.to(device)
        self._window = torch.hann_window(FFT_SAMPLES, device=device)
        self._device = device

    def __call__(self, waveforms: Sequence[Waveform], frames: int) -> Tensor:
        """(rows, mels, 2 x frames) for waveforms padded with silence to `frames` of 20 ms."""
        length = frames * FRAME_SAMPLES
        padded = torch.zeros(len(waveforms), length, device=self._device)
        for row, waveform in enumerate(waveforms):
            samples = torch.from_numpy(waveform[:length])
            padded[row, : len(samples)] = samples
        spectrum = torch.stft(
            padded, FFT_SAMPLES, HOP_SAMPLES, window=self._window, return_complex=True
        )
        power = spectrum[..., :-1].abs() ** 2
        log = torch.log10((self._filters @ power).clamp(min=1e-10))
        floor = log.amax(dim=(1, 2), keepdim=True) - 8.0
        return (torch.maximum(log, floor) + 4.0) / 4.0


def frames_of(waveform: Waveform) -> int:
    """The number of encoder frames of 20 ms that cover `waveform`."""
    return -(-len(waveform) // FRAME_SAMPLES)
