"""The handler that Inference Endpoints loads: the toolkit's dict in, plain JSON out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from asr_diarization.assembly import load_pipeline
from asr_diarization.config import read_settings
from asr_diarization.errors import AsrDiarizationError, InvalidRequestError
from asr_diarization.formats.json import to_json
from asr_diarization.formats.response import ResponseJson
from asr_diarization.payloads import parse_payload
from config import InferenceConfig, ModelSettings

logger = logging.getLogger("asr_diarization.handler")


class EndpointHandler:
    """`{"inputs": audio, "parameters": {...}}` in, plain JSON out."""

    def __init__(self, path: str = "") -> None:
        """Load the models once; `path` is the deployed repository.

        Raises:
            ModelLoadError: the environment names a model that cannot be loaded, or has a setting
                that is not allowed.
        """
        self._pipeline = load_pipeline(read_settings(ModelSettings), model_dir=path)

    def __call__(self, data: Mapping[str, Any]) -> ResponseJson:
        """Answer one request; `data` is not changed.

        Raises:
            InvalidRequestError: the caller's fault; the host answers 400 with the message.
            AsrDiarizationError: not the caller's fault; the host answers 400 as well.
        """
        try:
            request = parse_payload(data, InferenceConfig)
            transcript = self._pipeline(request.audio, request.parameters)
        except InvalidRequestError as error:
            logger.info("refused: %s", error)
            raise
        except AsrDiarizationError:
            logger.exception("failed")
            raise
        except Exception as error:
            logger.exception("failed unexpectedly")  # the host logs no traceback
            raise AsrDiarizationError(
                f"internal error ({type(error).__name__}); the endpoint's log has the details"
            ) from error
        logger.info("transcribed: %s", transcript.stats)
        return to_json(transcript, warnings=request.warnings)
