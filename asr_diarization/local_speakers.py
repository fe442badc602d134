"""Local speakers, those of one chunk: what each is known by, and their vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr_diarization.audio import SAMPLE_RATE, Waveform
from asr_diarization.borrowing import Speech, Vectors
from asr_diarization.memory import with_less

EMBEDDING_BATCH = 8
"""Chunks whose speakers are embedded at once."""


class LocalSpeakers:
    """The speakers of every chunk of one recording."""

    vectors: Vectors
    """NaN for silent ones, which pyannote's clustering leaves out, and those not yet embedded."""
    speech: Speech
    """What each is known by."""

    def __init__(self, pipeline: Any, waveform: Waveform, binary: Any) -> None:
        """Nobody is embedded yet.

        Args:
            pipeline: pyannote's.
            waveform: the recording.
            binary: who speaks when in its chunks.
        """
        self._embed = pipeline._embedding  # noqa: SLF001  no public name
        self._waveform = waveform
        self._window = binary.sliding_window
        self.speech = _own_speech(binary, pipeline.embedding_exclude_overlap, self._embed)
        chunks, _, speakers = self.speech.shape
        self.vectors = np.full((chunks, speakers, self._embed.dimension), np.nan, dtype=np.float32)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Who says anything: (chunks, speakers)."""
        speaks: NDArray[np.bool_] = self.speech.max(axis=1) > 0
        return speaks

    def embed(self, wanted: NDArray[np.bool_], on_chunks: Callable[[int], None]) -> None:
        """Compute the vectors of those `wanted`, (chunks, speakers), who must all be active.

        `on_chunks` hears how many chunks have been embedded each time.
        """
        waiting = np.flatnonzero(wanted.any(axis=1))
        while len(waiting):
            embedded = with_less(partial(self._embed_some, waiting, wanted), EMBEDDING_BATCH)
            waiting = waiting[embedded:]
            on_chunks(embedded)

    def _embed_some(self, waiting: NDArray[np.intp], wanted: NDArray[np.bool_], most: int) -> int:
        """Embed the first of the chunks that wait, at most so many; returns how many."""
        batch = waiting[:most]
        samples = round(self._window.duration * SAMPLE_RATE)
        sound = np.stack([self._chunk(self._window[int(c)].start, samples) for c in batch])
        weights = (self.speech[batch] * wanted[batch, None]).transpose(0, 2, 1)
        embedded = _embed(self._embed, torch.from_numpy(sound)[:, None], weights)
        self.vectors[batch] = np.where(wanted[batch][..., None], embedded, self.vectors[batch])
        return len(batch)

    def _chunk(self, start: float, samples: int) -> Waveform:
        """`samples` of the recording from `start` seconds on, silence behind its end."""
        first = math.floor(start * SAMPLE_RATE)
        piece = self._waveform[first : first + samples]
        return np.pad(piece, (0, samples - len(piece)))


def _own_speech(binary: Any, exclude_overlap: bool, embed: Any) -> Speech:
    """Which frames to know each local speaker by: (chunks, frames, speakers) of 0 and 1.

    Where nobody else speaks, if that is enough for a vector; else wherever the speaker does.
    """
    masks: Speech = np.nan_to_num(binary.data, nan=0.0).astype(np.float32)
    if not exclude_overlap:
        return masks
    chunk_samples = binary.sliding_window.duration * embed.sample_rate
    enough = math.ceil(masks.shape[1] * embed.min_num_samples / chunk_samples)
    alone = masks * (masks.sum(axis=2, keepdims=True) < 2)
    return np.where(alone.sum(axis=1, keepdims=True) > enough, alone, masks)


def _embed(embed: Any, sound: torch.Tensor, weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of the speakers of some chunks, from one pass if the model can share it.

    Args:
        embed: pyannote's embedding, whatever is behind it.
        sound: (chunks, 1, samples).
        weights: (chunks, speakers, frames); who has none gets no vector worth having.
    """
    if hasattr(embed, "model_"):  # a pyannote model: accepts several speakers per chunk
        return np.asarray(embed(sound, masks=torch.from_numpy(weights)), dtype=np.float32)
    vectors = np.full((*weights.shape[:2], embed.dimension), np.nan, dtype=np.float32)
    chunk, speaker = np.nonzero(weights.any(axis=2))
    vectors[chunk, speaker] = embed(sound[chunk], masks=torch.from_numpy(weights[chunk, speaker]))
    return vectors
