"""Embeddings of local speakers, the speakers of one chunk; some are interpolated from others."""

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
from asr_diarization.diarization.similarity import cosine_similarity

EMBED_EVERY = 3
"""Every n-th chunk is embedded in any case."""
MIN_OVERLAP = 0.6
"""Two local speakers match if this share of the frames of either is speech of both."""
MIN_MARGIN = 0.25
"""An embedding is certain if its nearest centroid beats the second by this cosine similarity."""
MAX_UNCERTAIN_PERCENT = 10
"""If a larger share of the embeddings is uncertain, all chunks are embedded."""
MIN_SUPPORT = 12
"""All chunks are embedded as well if a centroid is nearest to fewer embeddings than this: each of
them moves it."""
SINGLE_SPEAKER_SIMILARITY = 0.5
"""Stands for the second nearest centroid when there is only one."""

Vectors = NDArray[np.float32]
"""(chunks, speakers, dimension); NaN where there is no embedding."""
Speech = NDArray[np.float32]
"""(chunks, frames, speakers) of 0 and 1."""
Matches = NDArray[np.intp]
"""(chunks, speakers, 2): the matching speaker of the embedded chunk before and of the one after; -1
for none."""

EMBEDDING_BATCH = 8
"""Chunks whose speakers are embedded at once."""


class LocalSpeakers:
    """The speakers of every chunk of one recording."""

    vectors: Vectors
    """NaN for silent speakers, which pyannote's clustering leaves out, and before `embed`."""
    speech: Speech
    """The frames that each speaker is embedded from."""

    def __init__(self, pipeline: Any, waveform: Waveform, binary: Any) -> None:
        """No speaker is embedded yet.

        Args:
            pipeline: pyannote's.
            waveform: the recording.
            binary: who speaks when in its chunks.
        """
        self._model = pipeline._embedding  # noqa: SLF001  no public name
        self._waveform = waveform
        self._window = binary.sliding_window
        self.speech = _embeddable_speech(binary, pipeline.embedding_exclude_overlap, self._model)
        chunks, _, speakers = self.speech.shape
        self.vectors = np.full((chunks, speakers, self._model.dimension), np.nan, dtype=np.float32)

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which speakers say anything: (chunks, speakers)."""
        active: NDArray[np.bool_] = self.speech.max(axis=1) > 0
        return active

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How much speech each is embedded from: (chunks, speakers)."""
        frame = self._window.duration / self.speech.shape[1]
        seconds: NDArray[np.float64] = self.speech.sum(axis=1, dtype=np.float64) * frame
        return seconds

    def embed(self, wanted: NDArray[np.bool_], on_chunks: Callable[[int], None]) -> None:
        """Compute the vectors of the speakers `wanted`, (chunks, speakers), all of them active.

        `on_chunks` is called after each batch with its number of chunks.
        """
        waiting = np.flatnonzero(wanted.any(axis=1))
        while len(waiting):
            embedded = fit_batch(partial(self._embed_batch, waiting, wanted), EMBEDDING_BATCH)
            waiting = waiting[embedded:]
            on_chunks(embedded)

    def _embed_batch(
        self, waiting: NDArray[np.intp], wanted: NDArray[np.bool_], batch_size: int
    ) -> int:
        """Embed the first `batch_size` of the waiting chunks; return how many there were."""
        batch = waiting[:batch_size]
        samples = round(self._window.duration * SAMPLE_RATE)
        waveforms = np.stack([self._chunk(self._window[int(c)].start, samples) for c in batch])
        masks = (self.speech[batch] * wanted[batch, None]).transpose(0, 2, 1)
        embedded = _embed(self._model, torch.from_numpy(waveforms)[:, None], masks)
        self.vectors[batch] = np.where(wanted[batch][..., None], embedded, self.vectors[batch])
        return len(batch)

    def _chunk(self, start: float, samples: int) -> Waveform:
        """`samples` of the recording from `start` seconds on, padded with zeros at its end."""
        first = math.floor(start * SAMPLE_RATE)
        piece = self._waveform[first : first + samples]
        return np.pad(piece, (0, samples - len(piece)))


def _embeddable_speech(binary: Any, exclude_overlap: bool, model: Any) -> Speech:
    """The frames to embed each local speaker from: (chunks, frames, speakers) of 0 and 1.

    These are the frames without other speakers if they are enough for a vector, else all of the
    speaker's.
    """
    masks: Speech = np.nan_to_num(binary.data, nan=0.0).astype(np.float32)
    if not exclude_overlap:
        return masks
    chunk_samples = binary.sliding_window.duration * model.sample_rate
    min_frames = math.ceil(masks.shape[1] * model.min_num_samples / chunk_samples)
    alone = masks * (masks.sum(axis=2, keepdims=True) < 2)
    return np.where(alone.sum(axis=1, keepdims=True) > min_frames, alone, masks)


def _embed(model: Any, waveforms: torch.Tensor, masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of the speakers of some chunks, from one pass per chunk if the model can do that.

    Args:
        model: pyannote's wrapper of any embedding model.
        waveforms: (chunks, 1, samples).
        masks: (chunks, speakers, frames); the vector of a speaker without frames means nothing.
    """
    if hasattr(model, "model_"):  # a pyannote model accepts several speakers per chunk
        return np.asarray(model(waveforms, masks=torch.from_numpy(masks)), dtype=np.float32)
    vectors = np.full((*masks.shape[:2], model.dimension), np.nan, dtype=np.float32)
    chunk, speaker = np.nonzero(masks.any(axis=2))
    vectors[chunk, speaker] = model(waveforms[chunk], masks=torch.from_numpy(masks[chunk, speaker]))
    return vectors


def match_speakers(speech: Speech, step: float) -> Matches:
    """For each chunk between two embedded ones, the speakers there with nearly the same speech.

    Args:
        speech: the frames that each local speaker is embedded from.
        step: frames from the start of a chunk to the start of the next.
    """
    chunks, frames, speakers = speech.shape
    matches = np.full((chunks, speakers, 2), -1, dtype=np.intp)
    totals = speech.sum(axis=1)
    for chunk in range(chunks):
        for side, other in enumerate(_embedded_around(chunk, chunks)):
            lag = round(abs(other - chunk) * step)
            early, late = min(chunk, other), max(chunk, other)
            both = speech[early, lag:].T @ speech[late, : frames - lag]
            both = both if early == chunk else both.T
            either = totals[chunk][:, None] + totals[other] - both
            overlap = both / np.maximum(either, 1.0)
            is_match = overlap.max(axis=1) >= MIN_OVERLAP
            matches[chunk, :, side] = np.where(is_match, overlap.argmax(axis=1), -1)
    return matches


def _embedded_around(chunk: int, chunks: int) -> tuple[int, ...]:
    """The embedded chunks before and after one that is not; none for one that is."""
    before = chunk - chunk % EMBED_EVERY
    return tuple(c for c in (before, before + EMBED_EVERY) if c < chunks) if chunk != before else ()


def interpolate(vectors: Vectors, matches: Matches) -> None:
    """Fill in the vectors of speakers with matches: their mean, weighted by nearness in time."""
    for chunk, speaker in np.argwhere(matches.max(axis=2) >= 0):
        total, weights = 0.0, 0.0
        for match, other in zip(
            matches[chunk, speaker], _embedded_around(chunk, len(vectors)), strict=False
        ):
            if match >= 0:
                weight = 1.0 / abs(other - chunk)
                total, weights = total + weight * vectors[other, match], weights + weight
        vectors[chunk, speaker] = total / weights


def uncertain(vectors: Vectors, centroids: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whose nearest centroid is not certain: (chunks, speakers).

    Everybody's, if too many are uncertain or a centroid is nearest to too few.
    """
    active: NDArray[np.bool_] = np.isfinite(vectors[..., 0])
    similarity = cosine_similarity(vectors, centroids)
    support = np.bincount(similarity[active].argmax(axis=1), minlength=len(centroids))
    similarity = np.sort(similarity)
    second = similarity[..., -2] if len(centroids) > 1 else SINGLE_SPEAKER_SIMILARITY
    margins = similarity[..., -1] - second
    low_margin = np.percentile(margins[active], MAX_UNCERTAIN_PERCENT)
    if support.min() < MIN_SUPPORT or not low_margin >= MIN_MARGIN:  # NaN is uncertain, too
        return active
    result: NDArray[np.bool_] = active & ~(margins >= MIN_MARGIN)
    return result
