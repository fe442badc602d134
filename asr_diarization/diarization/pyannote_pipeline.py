"""Loading a pyannote pipeline, version 3.4 or 4, and making its networks faster."""

from __future__ import annotations

import inspect
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]

from asr_diarization.devices import has_bfloat16
from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.access import find_denial

CHECKPOINT = "pytorch_model.bin"
"""The file with the weights, in each folder of a pipeline directory."""


def load_pyannote(source: str, token: str | None) -> Any:
    """The pipeline of a hub id or a directory, with the version of pyannote that is installed.

    Raises:
        ModelLoadError: the pipeline is not there, gated, or cannot be read.
    """
    from huggingface_hub import constants

    os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")  # our users did not agree to it
    # pyannote 3 reads the path of its cache at import; models that a pipeline names go there, too.
    os.environ.setdefault("PYANNOTE_CACHE", constants.HF_HUB_CACHE)
    from pyannote.audio import Pipeline

    is_version_3 = "use_auth_token" in inspect.signature(Pipeline.from_pretrained).parameters
    try:
        if is_version_3 and Path(source).is_dir():
            with tempfile.TemporaryDirectory() as folder:
                config = Path(folder) / "config.yaml"
                config.write_text(pyannote3_config(Path(source)), encoding="utf-8")
                return Pipeline.from_pretrained(config)
        name = "use_auth_token" if is_version_3 else "token"
        pipeline = Pipeline.from_pretrained(source, **{name: token})
    except Exception as error:  # many libraries have a part in it
        raise ModelLoadError(_explain(source, error)) from error
    if pipeline is None:  # pyannote 3 prints and returns None for gated repositories
        raise ModelLoadError(_gated(source))
    return pipeline


def optimize(pipeline: Any, device: torch.device) -> None:
    """Make the networks we know faster; they are less exact only if a CPU has bfloat16."""
    from asr_diarization.diarization.campplus import CAMPPlus
    from asr_diarization.diarization.pyannet import optimize_pyannet

    on_cpu = device.type == "cpu"
    if on_cpu:
        optimize_pyannet(pipeline._segmentation.model)  # noqa: SLF001  no public name
    embedding = getattr(pipeline._embedding, "model_", None)  # noqa: SLF001
    if isinstance(embedding, CAMPPlus):
        embedding.optimize(torch.bfloat16 if on_cpu and has_bfloat16() else torch.float32)


def _gated(source: str) -> str:
    return (
        f"{source} is gated: accept its terms (and those of the segmentation and embedding "
        f"models it names) at https://huggingface.co/{source}, and set HF_TOKEN to a token that "
        "may read it"
    )


def _explain(source: str, error: Exception) -> str:
    denial = find_denial(error)
    if denial == "missing":
        return (
            f"{source}, or a model it names, is not on the hub, or is private and HF_TOKEN may not "
            "read it: check the name (DIARIZATION_MODEL), or use a directory"
        )
    if denial is not None:
        return _gated(source)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("asr_diarization"):
        return (
            f"{source} was built by an older version of this project and names a class that has "
            "moved: run `make models` again (python -m asr_diarization models)"
        )
    text = str(error)
    first_line = text.splitlines()[0] if text else type(error).__name__
    return f"cannot load the diarization pipeline {source}: {first_line} (DIARIZATION_MODEL)"


def pyannote3_config(directory: Path) -> str:
    """The YAML that pyannote 3.4 loads the pipeline in `directory` from.

    Its paths are absolute, so the text may be written to any file.
    """
    config = yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))
    params = config["pipeline"]["params"]
    params.pop("plda", None)
    for name, value in params.items():
        if isinstance(value, str) and value.startswith("$model/"):
            folder = directory.resolve() / value.removeprefix("$model/")
            # As a mapping: 3.4 guesses the kind of model from the words in a path given as text.
            params[name] = {"checkpoint": str(folder / CHECKPOINT)}
    return str(yaml.safe_dump(config, sort_keys=False))
