"""Exceptions -> HTTP status and JSON body, ours and OpenAI's."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Scope
from typing_extensions import TypedDict

from asr_diarization.errors import (
    AudioTooLongError,
    BusyError,
    CancelledError,
    InvalidAudioError,
    InvalidRequestError,
    NoRoomError,
    ShuttingDownError,
    TranscriptTooLargeError,
    UploadTimeoutError,
)

logger = logging.getLogger("asr_diarization.server")

STATUS: Mapping[type[Exception], int] = {
    UploadTimeoutError: 408,
    AudioTooLongError: 413,
    TranscriptTooLargeError: 413,
    InvalidAudioError: 415,
    InvalidRequestError: 422,
    BusyError: 429,
    CancelledError: 499,
    ClientDisconnect: 499,
    MemoryError: 503,
    NoRoomError: 503,
    ShuttingDownError: 503,
}
"""A subclass has the status of its nearest parent; any other exception is 500, our fault."""

INTERNAL = "internal error; the server's log has the details"
OPENAI_PREFIX = "/v1/"

_OPENAI_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_OPENAI_CODES = {
    401: "invalid_api_key",
    404: "not_found",
    413: "audio_too_long",
    415: "invalid_audio",
    429: "rate_limit_exceeded",
}


class ErrorJson(TypedDict):
    """The body of an error."""

    error: str
    type: str


class OpenAIError(TypedDict):
    """An error as OpenAI describes it."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorJson(TypedDict):
    """The body of an error below `/v1/`."""

    error: OpenAIError


def status_of(error: Exception) -> int:
    """The status of the answer to a request that ended in `error`."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def message_of(error: Exception) -> str:
    """The sentence for the caller; it holds nothing of exceptions that are not ours."""
    if isinstance(error, HTTPException):
        return error.detail
    if isinstance(error, ClientDisconnect):
        return "the caller went away"
    status = status_of(error)
    if status == 500 or not str(error):
        return "out of memory" if status == 503 else INTERNAL
    return str(error)


def record_error(scope: Scope, error: Exception) -> None:
    """Name `error` in the request's log line; log a traceback when it is our fault.

    The line has the status that the caller was told, which in a stream comes after a 200.
    """
    log = scope["state"]["log"]
    log["error"], log["status"] = type(error).__name__, status_of(error)
    if log["status"] == 500:
        fields = {"request_id": log["request_id"]}
        logger.error("failed", exc_info=error, extra={"fields": fields})


def error_body(path: str, error: Exception) -> ErrorJson | OpenAIErrorJson:
    """`{"error": sentence, "type": name}`, or OpenAI's shape below `/v1/`."""
    status, message = status_of(error), message_of(error)
    if not path.startswith(OPENAI_PREFIX):
        return {
            "error": message,
            "type": "InternalError" if status == 500 else type(error).__name__,
        }
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": message,
            "type": _OPENAI_TYPES.get(status, kind),
            "param": None,
            "code": _OPENAI_CODES.get(status),
        }
    }


def error_response(
    path: str, error: Exception, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The error as a whole answer."""
    merged = {**(getattr(error, "headers", None) or {}), **(headers or {})}
    return JSONResponse(error_body(path, error), status_of(error), headers=merged)


def dumped(content: object) -> bytes:
    """Compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
