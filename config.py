"""What this deployment runs: change a default here before a one-click deploy.

Every field, its bounds and its meaning are in `asr_diarization/config.py`; variables of the
environment and parameters of a request still come first.
"""

from asr_diarization import config


class ModelSettings(config.ModelSettings):
    """What the operator decides.

    To run other models, write for example:

    asr_model: str = "openai/whisper-large-v3"
    diarization_model: str | None = "pyannote/speaker-diarization-3.1"
    """


class InferenceConfig(config.InferenceConfig):
    """What a caller may ask for.

    To expect German unless a request says otherwise, write:

    language: str | None = "de"
    """
