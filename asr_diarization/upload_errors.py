"""What can keep an upload from arriving, beside its sender."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from asr_diarization.errors import AsrDiarizationError


class UploadTimeoutError(AsrDiarizationError):
    """The body did not arrive in time."""


class NoRoomError(AsrDiarizationError):
    """The disk for uploads is full."""


@contextmanager
def as_no_room() -> Iterator[None]:
    """Raise `NoRoomError` for a disk that is full."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NoRoomError("no room is left for uploads (TMPDIR); try again later") from error
