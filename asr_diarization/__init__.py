"""Who said what, when: Whisper for the words, pyannote for the speakers.

The names below are imported when they are first used: importing the package needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asr_diarization.assembly import load_pipeline
    from asr_diarization.config import InferenceConfig, ModelSettings
    from asr_diarization.merging import assign_speakers
    from asr_diarization.pipeline import Pipeline
    from asr_diarization.transcript import Segment, Transcript, Turn, Word

__version__ = "0.1.0"
__all__ = [
    "InferenceConfig",
    "ModelSettings",
    "Pipeline",
    "Segment",
    "Transcript",
    "Turn",
    "Word",
    "assign_speakers",
    "load_pipeline",
]

_MODULE_OF = {
    "InferenceConfig": "config",
    "ModelSettings": "config",
    "Pipeline": "pipeline",
    "Segment": "transcript",
    "Transcript": "transcript",
    "Turn": "transcript",
    "Word": "transcript",
    "assign_speakers": "merging",
    "load_pipeline": "assembly",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
