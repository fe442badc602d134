"""The body of a request, bounded in size and time; large ones go to a temporary file."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import anyio
from starlette.requests import Request
from starlette.types import Message, Receive

from asr_diarization.errors import (
    AsrDiarizationError,
    BusyError,
    InvalidAudioError,
    InvalidRequestError,
    NoRoomError,
    ShuttingDownError,
    UploadTimeoutError,
)
from asr_diarization.server.settings import ServerSettings

logger = logging.getLogger("asr_diarization.server")

SPOOL_BYTES = 2**20
"""Smaller bodies stay in memory."""


SLOW_SECONDS = 10.0
"""An upload is slow when it was below `MIN_UPLOAD_RATE` for so long."""


class _Reading:
    """One body that is being read: how fast it comes, and the error that ends it from outside."""

    def __init__(self) -> None:
        self._receiving = anyio.CancelScope()
        self._error: AsrDiarizationError | None = None
        self._since, self._bytes = time.monotonic(), 0

    def end(self, error: AsrDiarizationError) -> None:
        """Stop reading; whoever reads gets `error`."""
        self._error = error
        self._receiving.cancel()

    async def next(self, receive: Receive, seconds: float) -> Message:
        """The next message; `TimeoutError` if it takes longer, or the error of `end`."""
        if self._error is None:
            with anyio.CancelScope() as self._receiving:
                async with asyncio.timeout(seconds):
                    message = await receive()
        if self._error is not None:
            raise self._error
        return message

    def came(self, size: int, min_rate: float) -> None:
        """Count bytes, anew after each `SLOW_SECONDS` that were fast enough."""
        self._bytes += size
        now = time.monotonic()
        if now - self._since >= SLOW_SECONDS and self.rate(now) >= min_rate:
            self._since, self._bytes = now, 0

    def rate(self, now: float) -> float:
        """Bytes per second of late; infinite while it is too early to tell."""
        seconds = now - self._since
        return self._bytes / seconds if seconds >= SLOW_SECONDS else math.inf


class BodyReader:
    """Reads bodies within the limits of the settings, and counts those that are under way."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._being_read: set[_Reading] = set()

    @property
    def being_read(self) -> int:
        """Bodies that have begun to arrive and not ended."""
        return len(self._being_read)

    def refuse(self) -> None:
        """End what is being read with a `ShuttingDownError`."""
        for reading in list(self._being_read):
            reading.end(ShuttingDownError())

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
            self._make_room()
        reading = _Reading()
        self._being_read.add(reading)
        try:
            with storing_uploads():
                receive = self._bounded(request.receive, max_bytes, too_large, reading)
                yield Request(request.scope, receive)
        finally:
            self._being_read.discard(reading)

    def _make_room(self) -> None:
        """End the slowest upload if it is too slow; raise `BusyError` if none is."""
        now = time.monotonic()
        slowest = min(self._being_read, key=lambda reading: reading.rate(now))
        if slowest.rate(now) >= self._settings.min_upload_rate:
            raise BusyError(
                f"{self.being_read} uploads are being read already "
                f"(MAX_UPLOADS={self._settings.max_uploads})"
            )
        self._being_read.discard(slowest)
        slowest.end(
            UploadTimeoutError(
                f"the upload sent less than {self._settings.min_upload_rate} bytes per second "
                f"while others waited for its place (MIN_UPLOAD_RATE, MAX_UPLOADS)"
            )
        )

    def _bounded(
        self,
        receive: Receive,
        max_bytes: int,
        too_large: InvalidRequestError,
        reading: _Reading,
    ) -> Receive:
        """`receive` that gives up when the body is too large or too slow."""
        settings = self._settings
        received, deadline = 0, time.monotonic() + settings.upload_seconds

        async def bounded() -> Message:
            nonlocal received
            seconds = min(settings.upload_idle_seconds, deadline - time.monotonic())
            try:
                message = await reading.next(receive, seconds)
            except TimeoutError:
                raise UploadTimeoutError(
                    f"the upload stood still for {settings.upload_idle_seconds:g} s, or took more "
                    f"than {settings.upload_seconds:g} s (UPLOAD_IDLE_SECONDS, UPLOAD_SECONDS)"
                ) from None
            size = len(message.get("body", b""))
            reading.came(size, settings.min_upload_rate)
            received += size
            if received > max_bytes:
                raise too_large
            return message

        return bounded


@contextmanager
def storing_uploads() -> Iterator[None]:
    """Raise `NoRoomError` where a file cannot be made or written: nothing else does so here."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise NoRoomError("no room is left for uploads (TMPDIR); try again later") from error
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        logger.warning("uploads cannot be stored in %s (TMPDIR): %s", _folder(), reason)
        raise NoRoomError(
            f"this server cannot store uploads at the moment (TMPDIR): {reason}"
        ) from error


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "any folder"


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
