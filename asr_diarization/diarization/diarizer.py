"""Adapter: a pyannote speaker-diarization pipeline, version 3.4 or 4, to turns.

The steps are those of pyannote (`SpeakerDiarization.apply`), called one by one. Thus both versions
give regular turns, exclusive turns and speaker embeddings, and single steps are replaced:

- Neighbouring chunks share filters (`pyannet`) and embeddings (`embeddings`).
- The embeddings of all local speakers of a chunk come from one call; pyannote embeds the chunk once
  per speaker, even for silent ones.
- Clustering compares a bounded number of chunks, so its time is not quadratic in the recording.

The turns are those of pyannote until they are reassigned: tests/real/test_engines.py compares them.
docs/performance.md says how much time each step saves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.config import InferenceConfig
from asr_diarization.devices import fit_batch
from asr_diarization.diarization.cannot_link import share_with_two
from asr_diarization.diarization.clustering import cluster, keep_given_number
from asr_diarization.diarization.embeddings import (
    LocalSpeakers,
    interpolate,
    match_speakers,
    uncertain,
)
from asr_diarization.diarization.pyannote_pipeline import load_pyannote, optimize
from asr_diarization.diarization.reassignment import meet_number, reassign_turns
from asr_diarization.diarization.turns import tidy
from asr_diarization.errors import ModelLoadError
from asr_diarization.protocols import OnProgress, Progress, ignore_progress
from asr_diarization.transcript import Diarization, Turn

SEGMENTATION_BATCH = 32
"""Chunks of 10 s that are segmented at once."""
MIN_SAMPLES = SAMPLE_RATE // 10
"""Shorter recordings hold no turn."""


class PyannoteDiarizer:
    """A speaker-diarization pipeline; loaded once, used by one thread at a time."""

    def __init__(self, source: str, device: torch.device, token: str | None = None) -> None:
        """Load it.

        Args:
            source: hub id or directory.
            device: where to compute.
            token: for gated repositories.

        Raises:
            ModelLoadError: it is not there, gated, or no speaker diarization.
        """
        self._pipeline = load_pyannote(source, token)
        if not hasattr(self._pipeline, "get_segmentations"):
            raise ModelLoadError(
                f"{source} is not a speaker-diarization pipeline (DIARIZATION_MODEL)"
            )
        self._device = device
        self._pipeline.to(device)
        keep_given_number(self._pipeline.clustering)
        optimize(self._pipeline, device)

    def diarize(
        self,
        waveform: Waveform,
        parameters: InferenceConfig,
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """Who speaks when, with turns reassigned and tidy; empty when nobody speaks."""
        with self._separate_stream():
            diarization = self.run_pyannote(waveform, parameters, on_progress)
            report_done = partial(on_progress, Progress("diarize", 1.0, 1.0))
            diarization = reassign_turns(diarization, waveform, self._embed, report_done)
            diarization = tidy(diarization, len(waveform) / SAMPLE_RATE)
            min_speakers, _ = parameters.speaker_bounds
            diarization = meet_number(diarization, waveform, self._embed, min_speakers)
        report_done()
        return diarization

    def _separate_stream(self) -> AbstractContextManager[object]:
        """On CUDA, a stream of its own: its work does not wait for the transcriber's."""
        if self._device.type != "cuda":
            return nullcontext()
        return torch.cuda.stream(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]  # torch

    def embed(self, waveform: Waveform) -> tuple[float, ...]:
        """The embedding of one speaker, comparable with those of `Diarization.embeddings`."""
        return tuple(float(value) for value in self._embed(waveform))

    @torch.inference_mode()
    def _embed(self, waveform: Waveform) -> NDArray[np.float32]:
        """The embedding of a waveform, taken as one speaker's."""
        batch = torch.from_numpy(waveform)[None, None]
        vector: NDArray[np.float32] = np.asarray(self._pipeline._embedding(batch))[0]  # noqa: SLF001
        return vector

    @torch.inference_mode()
    def run_pyannote(
        self,
        waveform: Waveform,
        parameters: InferenceConfig,
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """The turns and embeddings that pyannote finds, before reassignment."""
        if len(waveform) < MIN_SAMPLES:
            return Diarization()
        pipeline = self._pipeline
        file = {
            "waveform": torch.from_numpy(waveform)[None],
            "sample_rate": SAMPLE_RATE,
            "uri": "-",
        }
        segmentations = fit_batch(partial(self._segment, file, on_progress), SEGMENTATION_BATCH)
        binary = _binarize(pipeline, segmentations)
        frames = pipeline._segmentation.model.receptive_field  # noqa: SLF001  no public name
        count = pipeline.speaker_count(binary, frames, warm_up=(0.0, 0.0))
        if np.nanmax(count.data) == 0:
            return Diarization()
        speakers = LocalSpeakers(pipeline, waveform, binary)
        clusters, centroids = self._embed_and_cluster(speakers, binary, parameters, on_progress)
        _, max_speakers = parameters.speaker_bounds
        clusters[binary.data.sum(axis=1) == 0] = -2  # pyannote's mark for "nobody"
        count.data = np.minimum(count.data, max_speakers).astype(np.int8)
        regular = _annotation(pipeline, segmentations, clusters, count)
        names = dict(zip(regular.labels(), pipeline.classes(), strict=False))
        count.data = np.minimum(count.data, 1).astype(np.int8)
        exclusive = _annotation(pipeline, segmentations, clusters, count)
        return Diarization(
            _turns(regular, names),
            _turns(exclusive, names),
            _vectors(centroids, names),
            share_with_two(speakers.vectors, speakers.seconds),
        )

    def _segment(self, file: Mapping[str, Any], on_progress: OnProgress, batch: int) -> Any:
        """The probability of each local speaker in each frame of every chunk."""
        self._pipeline.segmentation_batch_size = batch
        return self._pipeline.get_segmentations(file, hook=_segmentation_hook(on_progress))

    def _embed_and_cluster(
        self,
        speakers: LocalSpeakers,
        binary: Any,
        parameters: InferenceConfig,
        on_progress: OnProgress,
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """The global speaker of each local one, (chunks, speakers), and the speakers' centroids."""
        pipeline = self._pipeline
        missing, seconds = speakers.active, speakers.seconds
        chunks = int(missing.any(axis=1).sum())
        embedded = 0

        def on_chunks(number: int) -> None:
            nonlocal embedded
            embedded = min(chunks, embedded + number)
            on_progress(Progress("diarize", 0.5 + 0.5 * embedded / chunks, 1.0))

        # Interpolation was measured without a given number, which may cut finer, so that last
        # digits decide, and with this clustering only.
        has_number = parameters.num_speakers is not None or parameters.min_speakers is not None
        if not has_number and pipeline.klustering == "AgglomerativeClustering":
            frame = pipeline._segmentation.model.receptive_field.step  # noqa: SLF001
            matches = match_speakers(speakers.speech, binary.sliding_window.step / frame)
            interpolated = matches.max(axis=2) >= 0
            speakers.embed(missing & ~interpolated, on_chunks)
            interpolate(speakers.vectors, matches)
            clusters, centroids = cluster(pipeline, speakers.vectors, binary, seconds, parameters)
            missing = interpolated & uncertain(speakers.vectors, centroids)
            if not missing.any():
                return clusters, centroids
        speakers.embed(missing, on_chunks)
        return cluster(pipeline, speakers.vectors, binary, seconds, parameters)


def _segmentation_hook(on_progress: OnProgress) -> Callable[..., None]:
    """A hook for pyannote that reports the first half of the work."""

    def hook(_: str, __: Any, total: int = 1, completed: int = 1) -> None:
        on_progress(Progress("diarize", 0.5 * min(1.0, completed / max(1, total)), 1.0))

    return hook


def _binarize(pipeline: Any, segmentations: Any) -> Any:
    from pyannote.audio.utils.signal import binarize

    if pipeline._segmentation.model.specifications.powerset:  # noqa: SLF001
        return segmentations
    return binarize(segmentations, onset=pipeline.segmentation.threshold, initial_state=False)


def _annotation(pipeline: Any, segmentations: Any, clusters: NDArray[np.int8], count: Any) -> Any:
    return pipeline.to_annotation(
        pipeline.reconstruct(segmentations, clusters, count),
        min_duration_on=0.0,
        min_duration_off=pipeline.segmentation.min_duration_off,
    )


def _turns(annotation: Any, names: dict[int, str]) -> tuple[Turn, ...]:
    return tuple(
        sorted(
            Turn(max(0.0, segment.start), segment.end, names[label])
            for segment, _, label in annotation.itertracks(yield_label=True)
        )
    )


def _vectors(
    centroids: NDArray[np.float32] | None, names: dict[int, str]
) -> dict[str, tuple[float, ...]]:
    """The centroid of each speaker that has one."""
    if centroids is None:
        return {}
    return {
        name: tuple(float(value) for value in centroids[label])
        for label, name in names.items()
        if label < len(centroids) and np.isfinite(centroids[label]).all()
    }
