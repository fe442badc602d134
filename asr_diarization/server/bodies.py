"""The body of a request, bounded in size and time; large ones go to a temporary file."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive

from asr_diarization.errors import (
    BusyError,
    InvalidAudioError,
    InvalidRequestError,
    NoRoomError,
    ShuttingDownError,
    UploadTimeoutError,
)
from asr_diarization.server.settings import ServerSettings

SPOOL_BYTES = 2**20
"""Smaller bodies stay in memory."""


class BodyReader:
    """Reads bodies within the limits of the settings, and counts those that are under way."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._being_read: set[anyio.CancelScope] = set()

    @property
    def being_read(self) -> int:
        """Bodies that have begun to arrive and not ended."""
        return len(self._being_read)

    def refuse(self) -> None:
        """End what is being read with a `ShuttingDownError`."""
        for reading in list(self._being_read):
            reading.cancel()

    async def spool(
        self, request: Request, max_bytes: int, too_large: InvalidRequestError
    ) -> BinaryIO:
        """The body as a file at its beginning.

        Raises: as `reading`.
        """
        file = spool_file()
        with closed_on_error(file), self.reading(request, max_bytes, too_large) as bounded:
            async for chunk in bounded.stream():
                if file.tell() + len(chunk) > SPOOL_BYTES:
                    await anyio.to_thread.run_sync(file.write, chunk)
                else:
                    file.write(chunk)
            file.seek(0)
            return file

    @contextmanager
    def reading(
        self, request: Request, max_bytes: int, too_large: InvalidRequestError
    ) -> Iterator[Request]:
        """The request, to be read inside; its headers alone may be enough to refuse it.

        Raises:
            InvalidRequestError: `too_large`; or the body is compressed.
            UploadTimeoutError: it came too slowly.
            BusyError: too many are being read.
            ShuttingDownError: the server stops.
            NoRoomError: it cannot be kept.
        """
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise InvalidAudioError("compressed bodies (Content-Encoding) are not read")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > max_bytes:
            raise too_large
        if self.being_read >= self._settings.max_uploads:
            raise BusyError(
                f"{self.being_read} uploads are being read already "
                f"(MAX_UPLOADS={self._settings.max_uploads})"
            )
        with anyio.CancelScope() as scope:
            self._being_read.add(scope)
            try:
                with disk_full_as_no_room():
                    yield Request(
                        request.scope, self._bounded(request.receive, max_bytes, too_large)
                    )
            finally:
                self._being_read.discard(scope)
        if scope.cancelled_caught:
            raise ShuttingDownError

    def _bounded(self, receive: Receive, max_bytes: int, too_large: InvalidRequestError) -> Receive:
        """`receive` that gives up when the body is too large or too slow."""
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
            if received > max_bytes:
                raise too_large
            return message

        return bounded


@contextmanager
def disk_full_as_no_room() -> Iterator[None]:
    """Raise `NoRoomError` when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NoRoomError("no room is left for uploads (TMPDIR); try again later") from error


def spool_file() -> BinaryIO:
    """An empty file in memory that moves to the disk when it grows."""
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))


@contextmanager
def closed_on_error(*files: BinaryIO) -> Iterator[None]:
    """Close `files` when the block raises."""
    try:
        yield
    except BaseException:
        for file in files:
            with suppress(OSError):  # a full disk may refuse the rest of the file's buffer
                file.close()
        raise
