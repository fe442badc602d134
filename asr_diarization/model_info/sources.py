"""Sources of a deployment's models: directories or repositories of the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_diarization.config import ModelSettings
from asr_diarization.model_info.memory import read_config


@dataclass(frozen=True, slots=True)
class Sources:
    """Where each model of the settings is loaded from: a directory or a hub id."""

    asr: str
    assistant: str | None = None
    diarization: str | None = None

    def by_variable(self) -> dict[str, str]:
        """The models that are set, by the names of their environment variables."""
        named = {
            "ASR_MODEL": self.asr,
            "ASSISTANT_MODEL": self.assistant,
            "DIARIZATION_MODEL": self.diarization,
        }
        return {variable: source for variable, source in named.items() if source}


def find_sources(settings: ModelSettings, model_dir: str = "") -> Sources:
    """The sources of the settings; directories inside `model_dir` come first.

    If `ASR_MODEL` is not set and `model_dir` is itself a Whisper checkpoint, it is the model.
    """
    if "asr_model" not in settings.model_fields_set and _is_whisper(model_dir):
        asr = model_dir
    else:
        asr = _inside(model_dir, settings.asr_model)
    return Sources(
        asr,
        settings.assistant_model and _inside(model_dir, settings.assistant_model),
        settings.diarization_model and _inside(model_dir, settings.diarization_model),
    )


def _is_whisper(directory: str) -> bool:
    return bool(directory) and read_config(Path(directory)).get("model_type") == "whisper"


def _inside(model_dir: str, name: str) -> str:
    """The directory `name` of the deployed repository if it exists, else `name`."""
    candidate = Path(model_dir) / name
    return str(candidate) if model_dir and candidate.is_dir() else name
