"""Adapter: a pyannote speaker-diarization pipeline, version 3.4 or 4, to turns.

The steps are pyannote's own (`SpeakerDiarization.apply`), taken one by one, so that both versions
give regular and exclusive turns and speaker vectors, and so that steps can be done better:
neighbouring chunks share filters (`pyannet`) and speaker vectors (`embeddings`); the vectors of all
local speakers of a chunk come from one call (pyannote embeds the chunk once per speaker, silent
ones included); clustering looks at a bounded number of chunks, so that it is not quadratic in the
recording. The turns are the same until the second look; tests/real/test_engines.py compares them,
docs/performance.md says what each is worth.
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
from asr_diarization.diarization.clustering import cluster, respect_given_numbers
from asr_diarization.diarization.embeddings import LocalSpeakers, borrow, doubtful, find_lenders
from asr_diarization.diarization.pyannote_pipeline import load_pyannote, quicken
from asr_diarization.diarization.reassignment import look_again
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
        respect_given_numbers(self._pipeline.clustering)
        quicken(self._pipeline, device)

    def diarize(
        self,
        waveform: Waveform,
        parameters: InferenceConfig,
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """Who speaks when, after a second look at each turn; empty when nobody does."""
        with self._own_stream():
            found = self.first_look(waveform, parameters, on_progress)
            ended = partial(on_progress, Progress("diarize", 1.0, 1.0))
            looked = look_again(found, waveform, self._voice, ended)
        ended()
        return looked

    def _own_stream(self) -> AbstractContextManager[Any]:
        """On CUDA, work that need not wait for what the transcriber has queued."""
        if self._device.type != "cuda":
            return nullcontext()
        own: AbstractContextManager[Any] = torch.cuda.stream(torch.cuda.Stream(self._device))
        return own

    def voice(self, waveform: Waveform) -> tuple[float, ...]:
        """The vector of one speaker, like those of `Diarization.embeddings`."""
        return tuple(float(value) for value in self._voice(waveform))

    @torch.inference_mode()
    def _voice(self, waveform: Waveform) -> NDArray[np.float32]:
        """The vector of a piece of sound, taken as one speaker's."""
        sound = torch.from_numpy(waveform)[None, None]
        vector: NDArray[np.float32] = np.asarray(self._pipeline._embedding(sound))[0]  # noqa: SLF001
        return vector

    @torch.inference_mode()
    def first_look(
        self,
        waveform: Waveform,
        parameters: InferenceConfig,
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """What pyannote itself says: the same turns, faster."""
        if len(waveform) < MIN_SAMPLES:
            return Diarization()
        pipeline = self._pipeline
        file = {
            "waveform": torch.from_numpy(waveform)[None],
            "sample_rate": SAMPLE_RATE,
            "uri": "-",
        }
        segmentations = fit_batch(partial(self._segmented, file, on_progress), SEGMENTATION_BATCH)
        binary = _binarized(pipeline, segmentations)
        frames = pipeline._segmentation.model.receptive_field  # noqa: SLF001  no public name
        count = pipeline.speaker_count(binary, frames, warm_up=(0.0, 0.0))
        if np.nanmax(count.data) == 0:
            return Diarization()
        clusters, centroids = self._clustered(waveform, binary, parameters, on_progress)
        _, most = parameters.speaker_bounds
        clusters[binary.data.sum(axis=1) == 0] = -2  # pyannote's mark for "nobody"
        count.data = np.minimum(count.data, most).astype(np.int8)
        regular = _annotation(pipeline, segmentations, clusters, count)
        names = dict(zip(regular.labels(), pipeline.classes(), strict=False))
        count.data = np.minimum(count.data, 1).astype(np.int8)
        exclusive = _annotation(pipeline, segmentations, clusters, count)
        return Diarization(
            _turns(regular, names), _turns(exclusive, names), _vectors(centroids, names)
        )

    def _segmented(self, file: Mapping[str, Any], on_progress: OnProgress, batch: int) -> Any:
        """How likely each local speaker speaks in each frame of every chunk."""
        self._pipeline.segmentation_batch_size = batch
        return self._pipeline.get_segmentations(file, hook=_segmentation_hook(on_progress))

    def _clustered(
        self,
        waveform: Waveform,
        binary: Any,
        parameters: InferenceConfig,
        on_progress: OnProgress,
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Which global speaker each local one is: (chunks, speakers), and their centroids."""
        pipeline = self._pipeline
        speakers = LocalSpeakers(pipeline, waveform, binary)
        missing = speakers.active
        chunks = int(missing.any(axis=1).sum())
        embedded = 0

        def on_chunks(number: int) -> None:
            nonlocal embedded
            embedded = min(chunks, embedded + number)
            on_progress(Progress("diarize", 0.5 + 0.5 * embedded / chunks, 1.0))

        is_open = parameters.num_speakers is None and parameters.min_speakers is None
        # What borrowing was measured with; a given number may cut finer, where last digits decide.
        if is_open and pipeline.klustering == "AgglomerativeClustering":
            frame = pipeline._segmentation.model.receptive_field.step  # noqa: SLF001
            lenders = find_lenders(speakers.speech, binary.sliding_window.step / frame)
            borrowed = lenders.max(axis=2) >= 0
            speakers.embed(missing & ~borrowed, on_chunks)
            borrow(speakers.vectors, lenders)
            clusters, centroids = cluster(pipeline, speakers.vectors, binary, parameters)
            missing = borrowed & doubtful(speakers.vectors, centroids)
            if not missing.any():
                return clusters, centroids
        speakers.embed(missing, on_chunks)
        return cluster(pipeline, speakers.vectors, binary, parameters)


def _segmentation_hook(on_progress: OnProgress) -> Callable[..., None]:
    """A hook for pyannote, telling of the first half of the work."""

    def hook(_: str, __: Any, total: int = 1, completed: int = 1) -> None:
        on_progress(Progress("diarize", 0.5 * min(1.0, completed / max(1, total)), 1.0))

    return hook


def _binarized(pipeline: Any, segmentations: Any) -> Any:
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
    """Each speaker's centroid; speakers without one, or too little heard for one, are left out."""
    if centroids is None:
        return {}
    return {
        name: tuple(float(value) for value in centroids[label])
        for label, name in names.items()
        if label < len(centroids) and np.isfinite(centroids[label]).all()
    }
