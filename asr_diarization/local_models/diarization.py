"""Writes a pyannote pipeline directory, made of segmentation-3.0 and CAM++, for pyannote 4 and 3.4.

The directory is in pyannote 4's form: `config.yaml` refers to its neighbours as `$model/...`.
pyannote 3.4 opens only a file, knows neither `$model` nor `plda`, and wants absolute paths, which
would tie the directory to its place; `pyannote3_config` therefore gives its form when it is loaded.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml  # type: ignore[import-untyped]
from pyannote.audio.core.task import Problem, Resolution, Specifications

from asr_diarization.diarization.campplus import DIMENSION
from asr_diarization.diarization.fbank import SAMPLE_RATE
from asr_diarization.diarization.pyannote_pipeline import CHECKPOINT
from asr_diarization.local_models.campplus_weights import fold_campplus

EMBEDDING_CLASS = {"module": "asr_diarization.diarization.campplus", "class": "CAMPPlus"}
"""The class that pyannote imports; the checkpoint holds its name. If the class moves, directories
built before cannot be loaded any more: then raise the recipe in `build`."""
CHUNK_SECONDS = 10.0
THRESHOLD = 0.8
"""Distance threshold between the clusters of two speakers. Known conversations give the same result
from 0.65 to 0.95: this is the middle."""
CONFIG: dict[str, Any] = {
    "pipeline": {
        "name": "pyannote.audio.pipelines.SpeakerDiarization",
        "params": {
            "clustering": "AgglomerativeClustering",
            "segmentation": "$model/segmentation",
            "segmentation_batch_size": 32,
            "embedding": "$model/embedding",
            "embedding_batch_size": 32,
            "embedding_exclude_overlap": True,
            "plda": "$model/plda",
        },
    },
    "params": {
        "segmentation": {"min_duration_off": 0.0},
        "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": THRESHOLD},
    },
}


def write_diarization(segmentation: Path, campplus: Path, target: Path) -> None:
    """Fill the directory `target`.

    Args:
        segmentation: pyannote's checkpoint of segmentation-3.0, which is copied.
        campplus: 3D-Speaker's weights of CAM++.
        target: an existing directory.
    """
    for name in ("segmentation", "embedding", "plda"):
        (target / name).mkdir()
    shutil.copyfile(segmentation, target / "segmentation" / CHECKPOINT)
    state = torch.load(campplus, map_location="cpu", weights_only=True)
    torch.save(embedding_checkpoint(state), target / "embedding" / CHECKPOINT)
    # pyannote 4 loads a PLDA even though this clustering does not use it.
    unit, zero = np.eye(DIMENSION), np.zeros(DIMENSION)
    np.savez(target / "plda" / "xvec_transform.npz", mean1=zero, mean2=zero, lda=unit)
    np.savez(target / "plda" / "plda.npz", mu=zero, tr=unit, psi=np.ones(DIMENSION))
    (target / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")


def embedding_checkpoint(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """3D-Speaker's weights as a checkpoint for `pyannote.audio.Model.from_pretrained`."""
    return {
        "state_dict": fold_campplus(state),
        "hyper_parameters": {"sample_rate": SAMPLE_RATE, "num_channels": 1},
        "hparams_name": "kwargs",
        "pytorch-lightning_version": "2.0.2",
        "pyannote.audio": {
            # pyannote 3.4 needs all three numbers of a version.
            "versions": {"torch": "2.0.0", "pyannote.audio": "3.0.0"},
            "architecture": EMBEDDING_CLASS,
            "specifications": Specifications(
                problem=Problem.REPRESENTATION,
                resolution=Resolution.CHUNK,
                duration=CHUNK_SECONDS,
            ),
        },
    }
