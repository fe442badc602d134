"""Middleware around every request: its id, its log line, its API key, security headers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr_diarization.errors import ShuttingDownError
from asr_diarization.server.error_responses import error_response, record_error
from asr_diarization.server.metrics import Metrics
from asr_diarization.server.queueing import UNFINISHED

logger = logging.getLogger("asr_diarization.server")

OPEN_PATHS = ("/health", "/ready", "/docs", "/openapi.json", "/ui")
"""Paths that need no key: health, and pages that must load before a key can be typed."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_WAVEFORM_STYLE = "sha256-XGW/cX2BkTPWNNT3NdyASrPEWZfPnKdPJaJ2aN7R+v8="
"""Hash of the style sheet that wavesurfer.js writes into its shadow root; tests/page compares."""

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; media-src blob:; "
    f"style-src 'self' '{_WAVEFORM_STYLE}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; `extra={"fields": {...}}` adds fields to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class RequestLog:
    """Gives every request an id, answers uncaught exceptions, writes a log line, and counts.

    The line holds `scope["state"]["log"]`, where routes put their figures. It never holds a query
    string, a header, a file name or words of a transcript.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        fields = scope.setdefault("state", {})["log"] = {"request_id": request_id}
        began, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), scope["path"], request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001  the outermost code that knows the id
            record_error(scope, error)
            if status == 0:
                await error_response(scope["path"], error)(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server ends and waits no longer: whoever still waits is told, and that is all.
            late = ShuttingDownError(UNFINISHED)
            record_error(scope, late)
            if status == 0:
                await error_response(scope["path"], late)(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            line = {"method": scope["method"], "path": route, "status": status, **fields}
            self._metrics.answered(route, line["status"], seconds)
            line["seconds"] = round(seconds, 3)
            logger.info("request", extra={"fields": line})


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if path.startswith("/ui"):
        headers["Permissions-Policy"] = "microphone=(self), camera=(), geolocation=()"
        headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
        headers.setdefault("Cache-Control", "no-cache")
    else:
        headers.setdefault("Content-Security-Policy", _API_POLICY)
        headers.setdefault("Cache-Control", "no-store")


class ApiKeys:
    """Refuses requests without one of the keys, sent as `Authorization: Bearer KEY`."""

    def __init__(self, app: ASGIApp, keys: Sequence[SecretStr]) -> None:
        self._app = app
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or _is_open(scope) or self._has_key(scope):
            await self._app(scope, receive, send)
            return
        error = HTTPException(
            401,
            "a valid API key is needed: Authorization: Bearer KEY",
            {"WWW-Authenticate": "Bearer"},
        )
        scope["state"]["log"]["error"] = "Unauthorized"
        await error_response(scope["path"], error)(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        digest = _digest(key.strip())
        # Digests have one length, and all are compared: the time taken tells nothing about a key.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches) and scheme.lower() == "bearer"


def _is_open(scope: Scope) -> bool:
    path = scope["path"]
    if path == "/":
        return scope["method"] in ("GET", "HEAD")
    return any(path == p or path.startswith(p + "/") for p in OPEN_PATHS)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
