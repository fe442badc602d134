"""Defaults of this deployment: change them here before a one-click deploy.

`asr_diarization/config.py` has every field with its bounds and its meaning. Variables of the
environment and parameters of a request override these defaults.
"""

from asr_diarization import config


class ModelSettings(config.ModelSettings):
    """The operator's settings.

    To run other models, write for example:

    asr_model: str = "openai/whisper-large-v3"
    diarization_model: str | None = "pyannote/speaker-diarization-3.1"
    """


class InferenceConfig(config.InferenceConfig):
    """The parameters of a request.

    To expect German unless a request says otherwise, write:

    language: str | None = "de"
    """
