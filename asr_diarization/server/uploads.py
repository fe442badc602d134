"""Uploads: the body of a request becomes a recording and checked parameters.

Four bodies mean the same: multipart (`file`, `parameters`), JSON (`inputs`, `parameters`), and raw
audio with or without a content type.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import anyio
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import (
    AsrDiarizationError,
    AudioTooLongError,
    InvalidAudioError,
    InvalidParameterError,
    InvalidRequestError,
)
from asr_diarization.payloads import gather_fields, parse_parameters, parse_payload
from asr_diarization.server.bodies import (
    BodyReader,
    closed_on_error,
    spool_file,
    storing_uploads,
)
from asr_diarization.server.settings import ServerSettings

FORM_BYTES = 8 * 2**20
"""For everything beside the recording: field names, parameters, known voices, boundaries."""
MAX_FIELDS, MAX_FILES = 100, 4

UNTYPED = frozenset(
    {"", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
)
"""Content types that clients send for any body; `curl --data-binary` sends the third. The body may
be audio or JSON, and its first byte tells: no audio file begins with a brace."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A recording that has arrived and is not decoded yet; close it when done."""

    file: BinaryIO
    parameters: InferenceConfig
    warnings: tuple[str, ...] = ()

    def close(self) -> None:
        """Give memory and disk back."""
        self.file.close()


class UploadReader:
    """Reads uploads within the limits of the settings."""

    def __init__(self, settings: ServerSettings, bodies: BodyReader) -> None:
        self._bodies, self._max_bytes = bodies, settings.max_upload_bytes
        self._parsing = asyncio.Semaphore(1)  # base64 takes four times its size while parsed

    async def read(self, request: Request) -> Upload:
        """Read one of the four bodies; parameters in the body replace those of the query string.

        Raises:
            InvalidRequestError: the body is not what its content type says, or has no recording.
            AudioTooLongError: there is more of it than the settings allow.
            UploadTimeoutError: it came too slowly.
            BusyError: too many are being read.
            ShuttingDownError: the server stops.
            NoRoomError: it cannot be kept.
            starlette.requests.ClientDisconnect: the caller went away.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        query = gather_fields(request.query_params.multi_items())
        if kind == "multipart/form-data":
            form = await self.read_form(request)
            return self.of_form(form, lambda: {**query, **_form_parameters(form)})
        is_json = kind == "application/json"
        may_be_json = is_json or kind in UNTYPED
        limit = self._max_bytes * 4 // 3 + FORM_BYTES if may_be_json else self._max_bytes
        file = await self._bodies.spool(request, limit, self._too_large())
        with closed_on_error(file):
            if is_json or (may_be_json and file.read(64).lstrip()[:1] == b"{"):
                async with self._parsing:
                    with storing_uploads():
                        return await anyio.to_thread.run_sync(self._of_json, file, query)
            self._check_size(file)
            return Upload(file, *parse_parameters(query))

    async def read_form(self, request: Request) -> FormData:
        """The fields of a multipart body; its files are spooled.

        Raises: as `read`.
        """
        limit = self._max_bytes + FORM_BYTES
        with self._bodies.reading(request, limit, self._too_large()) as bounded:
            parser = MultiPartParser(
                request.headers,
                _as_form_errors(bounded.stream()),
                max_files=MAX_FILES,
                max_fields=MAX_FIELDS,
                max_part_size=FORM_BYTES,
            )
            try:
                return await parser.parse()
            except MultiPartException as error:
                if isinstance(error.__cause__, AsrDiarizationError | ClientDisconnect):
                    raise error.__cause__ from None
                raise InvalidRequestError(f"the form cannot be read: {error.message}") from error

    def of_form(self, form: FormData, parameters: Callable[[], Mapping[str, object]]) -> Upload:
        """The recording in field `file`, with the parameters that `parameters` returns.

        The form's other files are closed; all files are when `parameters` raises.
        """
        chosen = form.get("file")
        with closed_on_error(*_files(form)), storing_uploads():
            if not isinstance(chosen, UploadFile):
                raise InvalidRequestError("the form has no file in field 'file'")
            self._check_size(chosen.file)
            upload = Upload(chosen.file, *parse_parameters(parameters()))
        for file in _files(form):
            if file is not chosen.file:
                file.close()
        return upload

    def _of_json(self, file: BinaryIO, query: Mapping[str, object]) -> Upload:
        with file:
            file.seek(0)
            data = _parsed(file.read(), "the body")
        if query and isinstance(data, dict) and isinstance(data.get("parameters") or {}, dict):
            data["parameters"] = {**query, **(data.get("parameters") or {})}
        request = parse_payload(data)
        del data
        audio = spool_file()
        with closed_on_error(audio):
            audio.write(request.audio)
            self._check_size(audio)
            return Upload(audio, request.parameters, request.warnings)

    def _check_size(self, file: BinaryIO) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size > self._max_bytes:
            raise self._too_large()
        if not size:
            raise InvalidAudioError("the audio is empty (0 bytes)")

    def _too_large(self) -> AudioTooLongError:
        return AudioTooLongError(
            f"the recording is larger than the {self._max_bytes} bytes this "
            "server accepts (MAX_UPLOAD_BYTES); a compressed format such as opus is smaller"
        )


def _files(form: FormData) -> list[BinaryIO]:
    return [value.file for _, value in form.multi_items() if isinstance(value, UploadFile)]


async def _as_form_errors(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """`stream` with its errors wrapped in the only error at which the parser closes its files."""
    try:
        async for chunk in stream:
            yield chunk
    except (AsrDiarizationError, ClientDisconnect) as error:
        raise MultiPartException("the upload ended early") from error


def _form_parameters(form: FormData) -> dict[str, object]:
    """The fields beside `file`; the JSON object in field `parameters` replaces them."""
    fields = gather_fields((n, v) for n, v in form.multi_items() if isinstance(v, str))
    given = _parsed(form.get("parameters") or "null", "field 'parameters'")
    if given is not None and not isinstance(given, Mapping):
        raise InvalidParameterError("field 'parameters' must hold a JSON object")
    fields.pop("parameters", None)
    return {**fields, **(given or {})}


def _parsed(text: str | bytes | UploadFile, where: str) -> Any:
    if isinstance(text, UploadFile):
        raise InvalidRequestError(f"{where} must be text, not a file")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{where} is not JSON: {error}") from error
