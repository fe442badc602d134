"""Voice activity detection: the probability of speech every 32 ms.

The weights are those of Silero VAD (MIT licence, from the `silero-vad` wheel), the forward pass is
our own. The published one computes one step of 32 ms after the other, but only its LSTM needs the
step before. Here the convolutions run over many steps at once and the LSTM over all of them: the
same probabilities in a fifteenth of the time (docs/performance.md).

Silero hears less in quiet recordings. Thus it hears each recording twice, at levels of `levels`:
scaled as a whole, and with the level of each second made even; the larger probability counts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  its usual name
from numpy.typing import NDArray

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.levels import STEP_SAMPLES, step_gains

CONTEXT_SAMPLES = 64
"""Samples of the step before that the model gets as context."""
HOP_SAMPLES = 128
CONVOLUTION_STRIDES = (1, 2, 2, 1)
BATCH_STEPS = 4096
"""Steps convolved at once, two minutes: limits the memory, and is long enough to be fast."""
MIN_EVENED_PROBABILITY = 0.98
"""Evened levels raise murmur as well, which Whisper turns into invented words: only speech that is
certain counts there (docs/quality.md)."""


class SileroDetector:
    """Silero VAD for 16 kHz, on the CPU."""

    def __init__(self) -> None:
        # The package is not imported: it would set the number of threads of torch to one.
        package = find_spec("silero_vad")
        assert package is not None
        assert package.origin is not None
        path = Path(package.origin).parent / "data" / "silero_vad.jit"
        with warnings.catch_warnings():
            # torch.jit, which has no types, is deprecated; it only reads the weights here.
            warnings.simplefilter("ignore")
            model = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
            weights: dict[str, torch.Tensor] = model.state_dict()
        prefix = "_model."  # the 16 kHz half of the file; the other half is for 8 kHz
        self._weights = {
            name.removeprefix(prefix): tensor.detach()
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
        self._lstm = torch.nn.LSTM(input_size=128, hidden_size=128)
        self._lstm.load_state_dict(
            {
                f"{name}_l0": self._weights[f"decoder.rnn.{name}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )

    def probabilities(
        self, waveform: Waveform, on_block: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Probability of speech in each step of 32 ms, shape (ceil(samples / 512),), in [0, 1].

        It does not depend on the level of the recording, and little on that of each voice.
        `on_block` is called every two minutes of audio; an exception it raises stops the work.
        """
        as_whole, evened = self.silero(waveform, step_gains(waveform), on_block)
        certain = np.where(evened >= MIN_EVENED_PROBABILITY, evened, 0)
        larger: NDArray[np.float32] = np.maximum(as_whole, certain)
        return larger

    @torch.inference_mode()
    def silero(
        self,
        waveform: Waveform,
        gains: NDArray[np.float32],
        on_block: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Silero's probabilities of the waveform, heard several times at different gains.

        Args:
            waveform: shape (samples,).
            gains: the factor of each step of each hearing, shape (hearings, ceil(samples / 512)).
            on_block: as of `probabilities`.

        Returns:
            The probabilities of each hearing, of the shape of `gains`.
        """
        steps = gains.shape[1]
        weight = self._weights["decoder.decoder.2.weight"].view(-1)
        bias = self._weights["decoder.decoder.2.bias"]
        state: tuple[torch.Tensor, torch.Tensor] | None = None
        probabilities = np.zeros(gains.shape, dtype=np.float32)
        for first in range(0, steps, BATCH_STEPS):
            on_block()
            last = min(first + BATCH_STEPS, steps)
            frames = _frames(waveform, first, last)
            factors = torch.from_numpy(gains[:, first:last, None])
            features = torch.stack([self._features(frames * factor) for factor in factors], dim=1)
            hidden, state = self._lstm(features, state)
            found = torch.sigmoid(F.relu(hidden) @ weight + bias)
            probabilities[:, first:last] = found.T.numpy()
        return probabilities

    def _features(self, frames: torch.Tensor) -> torch.Tensor:
        """Convolutional features of each step: (steps, 576) samples -> (steps, 128)."""
        padded = F.pad(frames.unsqueeze(1), (0, CONTEXT_SAMPLES), mode="reflect")
        basis = self._weights["stft.forward_basis_buffer"]
        real, imaginary = F.conv1d(padded, basis, stride=HOP_SAMPLES).chunk(2, dim=1)
        x = torch.sqrt(real**2 + imaginary**2)
        for layer, stride in enumerate(CONVOLUTION_STRIDES):
            name = f"encoder.{layer}.reparam_conv"
            weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
            x = F.relu(F.conv1d(x, weight, bias, stride=stride, padding=1))
        return x.squeeze(-1)


def _frames(waveform: Waveform, first: int, last: int) -> torch.Tensor:
    """Steps `first` to `last` with their context, padded with zeros: (steps, 576)."""
    start, end = first * STEP_SAMPLES - CONTEXT_SAMPLES, last * STEP_SAMPLES
    piece = waveform[max(0, start) : end]
    padded = np.pad(piece, (max(0, -start), end - max(0, start) - len(piece)))
    return torch.from_numpy(padded).unfold(0, CONTEXT_SAMPLES + STEP_SAMPLES, STEP_SAMPLES)
