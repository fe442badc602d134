"""Loading: settings -> a pipeline with its models."""

from __future__ import annotations

from asr_diarization.config import ModelSettings
from asr_diarization.doctor.examine import check_quickly, explain
from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.sources import find_sources
from asr_diarization.pipeline import Pipeline


def load_pipeline(settings: ModelSettings, model_dir: str = "") -> Pipeline:
    """Load every model `settings` names.

    Args:
        settings: the operator's.
        model_dir: the deployed repository. Settings may name directories in it, and if it is itself
            a Whisper checkpoint and `ASR_MODEL` is unset, it is the model.

    Raises:
        ModelLoadError: a model is missing, gated, of the wrong kind, or incompatible with another
            one; the message names all problems that were found.
    """
    check_quickly(settings, model_dir)
    try:
        return _load(settings, model_dir)
    except ModelLoadError as error:
        raise explain(error, settings, model_dir) from error


def _load(settings: ModelSettings, model_dir: str) -> Pipeline:
    from asr_diarization.audio.vad import SileroDetector
    from asr_diarization.devices import choose_device
    from asr_diarization.diarization.diarizer import PyannoteDiarizer
    from asr_diarization.whisper.checkpoint import load_whisper
    from asr_diarization.whisper.transcriber import WhisperTranscriber

    token = settings.hf_token.get_secret_value() if settings.hf_token else None
    device = choose_device(settings.device)
    sources = find_sources(settings, model_dir)
    diarizer = None
    if sources.diarization:
        diarizer = PyannoteDiarizer(sources.diarization, device, token)
    assistant = None
    if sources.assistant:
        assistant = load_whisper(sources.assistant, device, settings.precision, token)
    model = load_whisper(sources.asr, device, settings.precision, token)
    transcriber = WhisperTranscriber(model, assistant, capture_steps=settings.capture_steps)
    return Pipeline(
        transcriber, diarizer, SileroDetector(), settings, concurrent=device.type != "cpu"
    )
