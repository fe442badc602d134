"""The body of a request -> a recording on disk or in memory, and checked parameters.

Four bodies mean the same: multipart (`file`, `parameters`), JSON (`inputs`, `parameters`), and raw
audio with or without a content type. Bytes are counted while they arrive; above a size they are
spooled to a temporary file, so that what waits in the queue costs no memory.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import anyio
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import (
    AsrDiarizationError,
    AudioTooLongError,
    BusyError,
    InvalidAudioError,
    InvalidParameterError,
    InvalidRequestError,
    NoRoomError,
    ShuttingDownError,
    UploadTimeoutError,
)
from asr_diarization.payloads import parse_parameters, parse_payload
from asr_diarization.server.settings import ServerSettings

SPOOL_BYTES = 2**20
"""Smaller uploads stay in memory."""
FORM_BYTES = 8 * 2**20
"""For all that is not the recording: field names, parameters, known voices, boundaries."""
MAX_FIELDS, MAX_FILES = 100, 4

UNTYPED = frozenset(
    {"", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
)
"""Content types that clients send without having looked; `curl --data-binary` does the third.
Behind them may be audio or JSON, and the first byte tells: no audio file begins with a brace."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A recording that has arrived, its bytes not yet looked at; close it when done."""

    file: BinaryIO
    parameters: InferenceConfig
    warnings: tuple[str, ...] = ()

    def close(self) -> None:
        """Give memory and disk back."""
        self.file.close()


class UploadReader:
    """Reads bodies within the limits of the settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._being_read: set[anyio.CancelScope] = set()
        self._parsing = asyncio.Semaphore(1)  # base64 takes four times its size while parsed

    @property
    def being_read(self) -> int:
        """Uploads that have begun to arrive and not ended."""
        return len(self._being_read)

    def refuse(self) -> None:
        """End what is being read with a `ShuttingDownError`."""
        for reading in list(self._being_read):
            reading.cancel()

    async def read(self, request: Request) -> Upload:
        """Read one of the four bodies; the query string fills in what the body does not say.

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
        query = dict(request.query_params)
        if kind == "multipart/form-data":
            form = await self.read_form(request)
            return self.of_form(form, lambda: {**query, **_form_parameters(form)})
        is_json = kind == "application/json"
        may_be_json = is_json or kind in UNTYPED
        file = await self._spool(request, may_be_json)
        with _closed_on_error(file):
            if is_json or (may_be_json and file.read(64).lstrip()[:1] == b"{"):
                async with self._parsing:
                    with _as_no_room():
                        return await anyio.to_thread.run_sync(self._of_json, file, query)
            self._check_size(file)
            return Upload(file, *parse_parameters(query))

    async def read_form(self, request: Request) -> FormData:
        """The fields of a multipart body; its files are spooled.

        Raises: as `read`.
        """
        with self._reading(request):
            limit = self._settings.max_upload_bytes + FORM_BYTES
            bounded = Request(request.scope, self._bounded(request.receive, limit))
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
        """The recording in field `file`, with what `parameters` makes of the other fields.

        Its other files are closed, and all are when `parameters` raises.
        """
        chosen = form.get("file")
        with _closed_on_error(*_files(form)):
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
        audio = _spool_file()
        with _closed_on_error(audio):
            audio.write(request.audio)
            self._check_size(audio)
            return Upload(audio, request.parameters, request.warnings)

    async def _spool(self, request: Request, may_be_json: bool) -> BinaryIO:
        limit = self._settings.max_upload_bytes
        if may_be_json:
            limit = limit * 4 // 3 + FORM_BYTES
        file = _spool_file()
        with _closed_on_error(file), self._reading(request):
            receive = self._bounded(request.receive, limit)
            async for chunk in Request(request.scope, receive).stream():
                if file.tell() + len(chunk) > SPOOL_BYTES:
                    await anyio.to_thread.run_sync(file.write, chunk)
                else:
                    file.write(chunk)
            file.seek(0)
            return file

    @contextmanager
    def _reading(self, request: Request) -> Iterator[None]:
        """Count the uploads, and refuse one by its headers alone where that is possible."""
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise InvalidAudioError("compressed bodies (Content-Encoding) are not read")
        length = request.headers.get("content-length", "")
        if (
            length.isdecimal()
            and int(length) > self._settings.max_upload_bytes * 4 // 3 + FORM_BYTES
        ):
            raise self._too_large()
        if self.being_read >= self._settings.max_uploads:
            raise BusyError(
                f"{self.being_read} uploads are being read already "
                f"(MAX_UPLOADS={self._settings.max_uploads})"
            )
        with anyio.CancelScope() as reading:
            self._being_read.add(reading)
            try:
                with _as_no_room():
                    yield
            finally:
                self._being_read.discard(reading)
        if reading.cancelled_caught:
            raise ShuttingDownError

    def _bounded(self, receive: Receive, limit: int) -> Receive:
        """`receive` that gives up on what is too large or too slow."""
        settings = self._settings
        received, deadline = 0, time.monotonic() + settings.upload_seconds

        async def bounded() -> Message:
            nonlocal received
            seconds = min(settings.upload_idle_seconds, deadline - time.monotonic())
            try:
                async with asyncio.timeout(seconds):
                    message = await receive()
            except TimeoutError:
                raise UploadTimeoutError(
                    f"the upload stood still for {settings.upload_idle_seconds:g} s, or took more "
                    f"than {settings.upload_seconds:g} s (UPLOAD_IDLE_SECONDS, UPLOAD_SECONDS)"
                ) from None
            received += len(message.get("body", b""))
            if received > limit:
                raise self._too_large()
            return message

        return bounded

    def _check_size(self, file: BinaryIO) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size > self._settings.max_upload_bytes:
            raise self._too_large()
        if not size:
            raise InvalidAudioError("the audio is empty (0 bytes)")

    def _too_large(self) -> AudioTooLongError:
        return AudioTooLongError(
            f"the recording is larger than the {self._settings.max_upload_bytes} bytes this "
            "server accepts (MAX_UPLOAD_BYTES); a compressed format such as opus is smaller"
        )


@contextmanager
def _as_no_room() -> Iterator[None]:
    """Raise `NoRoomError` for a disk that is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NoRoomError("no room is left for uploads (TMPDIR); try again later") from error


def _spool_file() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))


@contextmanager
def _closed_on_error(*files: BinaryIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for file in files:
            with suppress(OSError):  # what a full disk does not take from the file's buffer
                file.close()
        raise


def _files(form: FormData) -> list[BinaryIO]:
    return [value.file for _, value in form.multi_items() if isinstance(value, UploadFile)]


async def _as_form_errors(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """`stream`, its errors wrapped in the only one at which the parser closes its files."""
    try:
        async for chunk in stream:
            yield chunk
    except (AsrDiarizationError, ClientDisconnect) as error:
        raise MultiPartException("the upload ended early") from error


def _form_parameters(form: FormData) -> dict[str, object]:
    """Fields beside `file`, and those of the JSON object in field `parameters` over them."""
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
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
