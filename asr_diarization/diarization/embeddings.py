"""Local speakers, those of one chunk: what each is known by, and their vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.devices import fit_batch

EMBED_EVERY = 3
"""One chunk in so many is embedded in any case."""
MIN_OVERLAP = 0.6
"""Two local speakers say nearly the same: frames of both, as a share of the frames of either."""
MIN_MARGIN = 0.25
"""How much nearer, by cosine, the nearest voice must be than the second nearest."""
MAX_DOUBTFUL_PERCENT = 10
"""Per cent of the local speakers that may be less than sure before everything is embedded."""
MIN_SUPPORT = 12
"""A voice nearest to fewer local speakers is not established: what one is taken for moves it."""
SINGLE_SPEAKER_SIMILARITY = 0.5
"""Stands for the second nearest voice when there is only one."""

Vectors = NDArray[np.float32]
"""(chunks, speakers, dimension); NaN where there is none."""
Speech = NDArray[np.float32]
"""(chunks, frames, speakers) of 0 and 1."""
Lenders = NDArray[np.intp]
"""(chunks, speakers, 2): whose vector to take in the embedded chunk before and the one after; -1
for nobody's."""

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
            embedded = fit_batch(partial(self._embed_some, waiting, wanted), EMBEDDING_BATCH)
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


def find_lenders(speech: Speech, step: float) -> Lenders:
    """Who says nearly the same in the embedded chunks beside each other chunk.

    Args:
        speech: what each local speaker is known by.
        step: frames from the start of a chunk to the start of the next.
    """
    chunks, frames, speakers = speech.shape
    lenders = np.full((chunks, speakers, 2), -1, dtype=np.intp)
    said = speech.sum(axis=1)
    for chunk in range(chunks):
        for side, other in enumerate(_embedded_beside(chunk, chunks)):
            lag = round(abs(other - chunk) * step)
            early, late = min(chunk, other), max(chunk, other)
            both = speech[early, lag:].T @ speech[late, : frames - lag]
            both = both if early == chunk else both.T
            either = said[chunk][:, None] + said[other] - both
            alike = both / np.maximum(either, 1.0)
            is_alike = alike.max(axis=1) >= MIN_OVERLAP
            lenders[chunk, :, side] = np.where(is_alike, alike.argmax(axis=1), -1)
    return lenders


def _embedded_beside(chunk: int, chunks: int) -> tuple[int, ...]:
    before = chunk - chunk % EMBED_EVERY
    return tuple(c for c in (before, before + EMBED_EVERY) if c < chunks) if chunk != before else ()


def borrow(vectors: Vectors, lenders: Lenders) -> None:
    """Fill in the vectors of whoever has lenders."""
    for chunk, speaker in np.argwhere(lenders.max(axis=2) >= 0):
        total, weights = 0.0, 0.0
        for lender, other in zip(
            lenders[chunk, speaker], _embedded_beside(chunk, len(vectors)), strict=False
        ):
            if lender >= 0:
                weight = 1.0 / abs(other - chunk)
                total, weights = total + weight * vectors[other, lender], weights + weight
        vectors[chunk, speaker] = total / weights


def doubtful(vectors: Vectors, centroids: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whose voice is not surely that of one centroid: (chunks, speakers).

    All, if that goes for many, or if somebody is hardly heard.
    """
    active: NDArray[np.bool_] = np.isfinite(vectors[..., 0])
    unit = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
    cosines = unit @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T
    heard = np.bincount(cosines[active].argmax(axis=1), minlength=len(centroids))
    cosines = np.sort(cosines)
    second = cosines[..., -2] if len(centroids) > 1 else SINGLE_SPEAKER_SIMILARITY
    margins = cosines[..., -1] - second
    low_margin = np.percentile(margins[active], MAX_DOUBTFUL_PERCENT)
    if heard.min() < MIN_SUPPORT or not low_margin >= MIN_MARGIN:  # NaN is doubtful, too
        return active
    unsure: NDArray[np.bool_] = active & ~(margins >= MIN_MARGIN)
    return unsure
