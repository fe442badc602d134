"""Whether directories hold what they are named for, weights and all."""

from __future__ import annotations

from pathlib import Path

from asr_diarization.doctor.findings import Finding, bad, good
from asr_diarization.model_info.memory import read_config, read_json, tensor_shapes

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""What Whisper is loaded from: the first that is there."""
CHECKPOINT = "pytorch_model.bin"
"""What pyannote loads a model from, in the model's directory."""
NETWORKS = ("segmentation", "embedding")
POINTER = b"version https://git-lfs"


def check_directory(source: str, variable: str) -> Finding:
    """Whether `source` can be loaded, as far as small files and sizes tell."""
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
    """Where a pipeline's `config.yaml` takes its models from, by parameter.

    Each is a hub id, `$model/...` (beside the file) or another path.

    Raises:
        ValueError: it is no such file.
    """
    try:
        import yaml  # type: ignore[import-untyped]

        pipeline = yaml.safe_load(path.read_text(encoding="utf-8"))["pipeline"]
        parts = {**pipeline["params"], "name": pipeline["name"]}
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"config.yaml cannot be read as one ({said})") from error
    named = {key: p.get("checkpoint") if isinstance(p, dict) else p for key, p in parts.items()}
    return {key: name for key, name in named.items() if isinstance(name, str) and "/" in name}


def is_hub_id(name: str) -> bool:
    """Whether a pipeline's part is a repository of the hub; a revision may follow `@`."""
    return name.count("/") == 1 and not name.startswith(("$", "/", "."))


def _check_whisper(folder: Path) -> None:
    if read_config(folder).get("model_type") != "whisper":
        raise ValueError("its config.json is missing or is another model's")
    first = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    if first is None:
        raise ValueError(f"{WEIGHTS[0]} is missing; copy it there, too")
    shards = read_json(folder / first).get("weight_map") if first.endswith(".json") else None
    for name in sorted({first, *(shards or {}).values()}):
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
        if file.read(len(POINTER)) == POINTER:
            raise ValueError(f"{name} is only a pointer to it; run git lfs pull there")
    if name.endswith(".safetensors"):
        tensor_shapes(path)
