"""Presets: models with an instance that has the memory for them.

Memory and prices of instances are those of Hugging Face's pricing page, November 2025; where the
client can list hardware (huggingface_hub 2), its list is used instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asr_diarization.config import ModelSettings
from asr_diarization.model_info.memory import WhisperSize, needed_bytes
from asr_diarization.model_info.sources import Sources

DIARIZATION_31 = "pyannote/speaker-diarization-3.1"
DIARIZATION_4 = "pyannote/speaker-diarization-community-1"
"""For pyannote.audio 3.4 in the default container, and for 4 in our image."""
SIZES = {
    "openai/whisper-tiny": WhisperSize(37_800_000, 4, 384, 51_865),
    "openai/whisper-tiny.en": WhisperSize(37_800_000, 4, 384, 51_864),
    "openai/whisper-base": WhisperSize(72_600_000, 6, 512, 51_865),
    "openai/whisper-base.en": WhisperSize(72_600_000, 6, 512, 51_864),
    "openai/whisper-small": WhisperSize(242_000_000, 12, 768, 51_865),
    "openai/whisper-small.en": WhisperSize(242_000_000, 12, 768, 51_864),
    "openai/whisper-medium": WhisperSize(764_000_000, 24, 1024, 51_865),
    "openai/whisper-medium.en": WhisperSize(764_000_000, 24, 1024, 51_864),
    "openai/whisper-large-v2": WhisperSize(1_543_000_000, 32, 1280, 51_865),
    "openai/whisper-large-v3": WhisperSize(1_543_000_000, 32, 1280, 51_866),
    "openai/whisper-large-v3-turbo": WhisperSize(809_000_000, 4, 1280, 51_866),
    "distil-whisper/distil-large-v2": WhisperSize(756_000_000, 2, 1280, 51_865),
    "distil-whisper/distil-large-v3": WhisperSize(756_000_000, 2, 1280, 51_866),
}
"""Parameters, decoder layers, width and vocabulary, from the checkpoints' model cards and
configurations."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine, with the field names of the Inference Endpoints API."""

    vendor: str
    region: str
    accelerator: str
    type: str
    size: str


@dataclass(frozen=True, slots=True)
class Models(Sources):
    """The models that an endpoint loads."""

    @classmethod
    def of_variables(cls, variables: Mapping[str, str]) -> Models:
        """The models that these variables name; an empty or missing name is the default."""
        return cls(
            variables.get("ASR_MODEL") or ModelSettings.model_fields["asr_model"].default,
            variables.get("ASSISTANT_MODEL") or None,
            variables.get("DIARIZATION_MODEL") or None,
        )

    def needed_gb(self, accelerator: str) -> float | None:
        """Computed memory for one request; None when a checkpoint is not in `SIZES`."""
        sizes = [SIZES.get(name) for name in (self.asr, self.assistant) if name]
        if not all(sizes):
            return None
        known = [size for size in sizes if size]
        device = "cpu" if accelerator == "cpu" else "cuda"
        return needed_bytes(known, diarization=bool(self.diarization), device=device) / 1e9


@dataclass(frozen=True, slots=True)
class Preset:
    """Models and an instance for them."""

    models: Models
    instance: Instance
    meaning: str


PRESETS = {
    "cheap": Preset(
        Models("openai/whisper-small", diarization=DIARIZATION_31),
        Instance("aws", "us-east-1", "cpu", "intel-spr", "x4"),
        "whisper-small on four CPU cores: for recordings that may take a while",
    ),
    "balanced": Preset(
        Models("openai/whisper-large-v3-turbo", diarization=DIARIZATION_31),
        Instance("aws", "us-east-1", "gpu", "nvidia-t4", "x1"),
        "large-v3-turbo on the smallest GPU",
    ),
    "large": Preset(
        Models("openai/whisper-large-v3", "distil-whisper/distil-large-v3", DIARIZATION_31),
        Instance("aws", "us-east-1", "gpu", "nvidia-l4", "x1"),
        "large-v3 with its distilled assistant on 24 GB",
    ),
}

MEMORY_GB = {
    ("intel-spr", "x1"): 2, ("intel-spr", "x2"): 4, ("intel-spr", "x4"): 8,
    ("intel-spr", "x8"): 16, ("intel-spr", "x16"): 32,
    ("intel-xeon", "x1"): 2, ("intel-xeon", "x2"): 4, ("intel-xeon", "x4"): 8,
    ("intel-xeon", "x8"): 16,
    ("nvidia-t4", "x1"): 14, ("nvidia-l4", "x1"): 24, ("nvidia-a10g", "x1"): 24,
    ("nvidia-l40s", "x1"): 48, ("nvidia-a100", "x1"): 80, ("nvidia-h200", "x1"): 141,
}  # fmt: skip
"""Main memory of CPU instances, accelerator memory of the others, by type and size."""
