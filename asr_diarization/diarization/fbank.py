"""Kaldi's log-mel filter banks, for a whole batch at once.

They equal `torchaudio.compliance.kaldi.fbank(num_mel_bins=80, window_type="povey", dither=0)`,
which takes one waveform at a time. The speaker embedding was trained on them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE = 16000
FRAME_SAMPLES = 400
"""25 ms."""
SHIFT_SAMPLES = 160
"""10 ms."""
FFT_SAMPLES = 512
MEL_BINS = 80
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
INT16 = 1 << 15
"""Kaldi takes samples as 16-bit integers, not in -1 to 1."""


class FilterBanks(torch.nn.Module):
    """Waveforms in [-1, 1] at 16 kHz to log-mel energies."""

    window: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Both are computed, so that no checkpoint needs to store them.
        hann = torch.hann_window(FRAME_SAMPLES, periodic=False)
        self.register_buffer("window", hann**0.85, persistent=False)
        self.register_buffer("mel", mel_filters(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Log-mel energies (batch, frames, 80) of `waveforms` (batch, samples).

        Only whole frames are computed: 1 + (samples - 400) // 160.
        """
        frames = (waveforms * INT16).unfold(-1, FRAME_SAMPLES, SHIFT_SAMPLES)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        previous = functional.pad(frames[..., :-1], (1, 0))
        previous[..., 0] = frames[..., 0]
        frames = (frames - PRE_EMPHASIS * previous) * self.window
        spectrum = torch.view_as_real(torch.fft.rfft(frames, n=FFT_SAMPLES))
        power = spectrum.square().sum(dim=-1)
        return (power @ self.mel).clamp_min(torch.finfo(torch.float32).eps).log()


def mel_filters() -> Tensor:
    """Triangular mel filters, (257, 80): the weight of each FFT bin in each mel bin."""
    bins = torch.arange(FFT_SAMPLES // 2) * (SAMPLE_RATE / FFT_SAMPLES)
    lowest, highest = _mel(torch.tensor([LOWEST_HZ, SAMPLE_RATE / 2])).tolist()
    edges = torch.linspace(lowest, highest, MEL_BINS + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(bins)[:, None]
    triangles = torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre))
    # Kaldi leaves out the bin at half the sample rate.
    return functional.pad(triangles.clamp_min(0.0), (0, 0, 0, 1))


def _mel(hertz: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(hertz / 700.0)
