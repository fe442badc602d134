"""Checks of model directories: configuration files, and weights that are complete."""

from __future__ import annotations

from pathlib import Path

from asr_diarization.doctor.findings import Finding, bad, good
from asr_diarization.errors import one_line
from asr_diarization.model_info.memory import read_config, read_json, tensor_shapes

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""Whisper is loaded from the first of these that exists."""
CHECKPOINT = "pytorch_model.bin"
"""The file of the weights in the directory of a pyannote model."""
NETWORKS = ("segmentation", "embedding")
LFS_POINTER = b"version https://git-lfs"


def check_directory(source: str, variable: str) -> Finding:
    """Whether `source` can be loaded; only small files and headers are read."""
    folder = Path(source)
    try:
        if variable == "DIARIZATION_MODEL":
            kind = "a pyannote pipeline"
            _check_pipeline(folder)
        else:
            kind = "a Whisper checkpoint"
            _check_whisper(folder)
    except ValueError as error:
        text = f"{variable}: the directory {source} does not hold {kind}: {error}"
        return bad(f"{variable} {source}", text)
    return good(f"{variable} {source}", f"{kind} in a directory")


def read_pipeline(path: Path) -> dict[str, str]:
    """The models that a pipeline's `config.yaml` names, by parameter.

    Each is a hub id, `$model/...` (beside the file) or another path.

    Raises:
        ValueError: it is not the configuration of a pipeline.
    """
    try:
        import yaml  # type: ignore[import-untyped]

        pipeline = yaml.safe_load(path.read_text(encoding="utf-8"))["pipeline"]
        parts = {**pipeline["params"], "name": pipeline["name"]}
    except Exception as error:
        raise ValueError(f"config.yaml is not a pipeline's ({one_line(error)})") from error
    named = {key: p.get("checkpoint") if isinstance(p, dict) else p for key, p in parts.items()}
    return {key: name for key, name in named.items() if isinstance(name, str) and "/" in name}


def is_hub_id(name: str) -> bool:
    """Whether a pipeline names a repository of the hub; a revision may follow `@`."""
    return name.count("/") == 1 and not name.startswith(("$", "/", "."))


def _check_whisper(folder: Path) -> None:
    if read_config(folder).get("model_type") != "whisper":
        raise ValueError("its config.json is missing, or is not Whisper's")
    weights = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise ValueError(f"{WEIGHTS[0]} is missing; copy it there, too")
    shards = read_json(folder / weights).get("weight_map") if weights.endswith(".json") else None
    for name in sorted({weights, *(shards or {}).values()}):
        _check_weights(folder / name, name)


def _check_pipeline(folder: Path) -> None:
    if not (folder / "config.yaml").is_file():
        raise ValueError("config.yaml is missing; copy it there, too")
    for key, name in read_pipeline(folder / "config.yaml").items():
        if is_hub_id(name):
            continue
        path = folder / name.removeprefix("$model/")
        if path.is_dir() and key in NETWORKS:
            path /= CHECKPOINT
        for part in path.iterdir() if path.is_dir() else [path]:
            _check_weights(part, str(part).removeprefix(f"{folder}/"))


def _check_weights(path: Path, name: str) -> None:
    if not path.is_file():
        raise ValueError(f"{name} is missing; copy it there, too")
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(f"{name} is only a Git LFS pointer; run git lfs pull there")
    if name.endswith(".safetensors"):
        tensor_shapes(path)
