"""Door 2 and what arrives badly: broken off, too slowly, onto a full disk, too late."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import time

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from starlette import formparsers

from asr_diarization.server import bodies
from tests.support.asgi import FORM, Call, Gated, app_of, eventually, form, run, running


def test_an_upload_that_is_broken_off_leaves_nothing():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, max_uploads=1)) as app:
            for kind in ("audio/wav", FORM, "application/json"):
                call = Call(app, body=form("abc")[:60], end=False, content_type=kind)
                await eventually(lambda: app.state.service.bodies.being_read == 1)
                busy = Call(app, body=b"b")
                assert await busy.answered() == 429
                assert "MAX_UPLOADS" in busy.json["error"]
                call.go_away()
                assert await call.answered() == 499
                assert app.state.service.bodies.being_read == 0
            assert fake.seen == []

    run(scenario())


@pytest.mark.parametrize("settings", [{"upload_idle_seconds": 0.05}, {"upload_seconds": 0.05}])
def test_an_upload_that_stands_still_is_given_up(settings):
    async def scenario():
        async with running(app_of(Gated(), **settings)) as app:
            call = Call(app, body=b"a", end=False)
            assert await call.answered() == 408
            assert "UPLOAD_SECONDS" in call.json["error"]

    run(scenario())


class OnAFullDisk(tempfile.SpooledTemporaryFile):
    """Takes nothing, and cannot write either what is left in its buffer when it is closed."""

    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self):
        was_open = not self.closed
        super().close()
        if was_open:
            self.write(b"")


@pytest.mark.parametrize("headers", [{}, {"content_type": FORM}], ids=["raw", "form"])
def test_a_full_disk_is_said_and_not_the_callers_fault(monkeypatch, headers):
    async def scenario():
        async with running(app_of(Gated())) as app:
            monkeypatch.setattr(tempfile, "SpooledTemporaryFile", OnAFullDisk)
            monkeypatch.setattr(formparsers, "SpooledTemporaryFile", OnAFullDisk)
            call = Call(app, body=form("a") if headers else b"a", **headers)
            assert await call.answered() == 503
            assert call.json["type"] == "NoRoomError"
            assert call.headers["retry-after"]

    run(scenario())


class InAFolderThatIsGone(tempfile.SpooledTemporaryFile):
    """Cannot be made: what `tempfile` and the system say for missing and read-only folders."""

    error: OSError

    def write(self, _):
        raise self.error


@pytest.mark.parametrize("headers", [{}, {"content_type": FORM}], ids=["raw", "form"])
@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/secret']"),
        OSError(errno.EROFS, "Read-only file system", "/secret/x"),
        PermissionError(errno.EACCES, "Permission denied", "/secret/x"),
        OSError(errno.EMFILE, "Too many open files"),
    ],
    ids=lambda error: errno.errorcode[error.errno],
)
def test_a_folder_that_cannot_be_written_is_named_and_no_error_of_ours(monkeypatch, error, headers):
    async def scenario():
        async with running(app_of(Gated())) as app:
            monkeypatch.setattr(InAFolderThatIsGone, "error", error, raising=False)
            monkeypatch.setattr(tempfile, "SpooledTemporaryFile", InAFolderThatIsGone)
            monkeypatch.setattr(formparsers, "SpooledTemporaryFile", InAFolderThatIsGone)
            call = Call(app, body=form("a") if headers else b"a", **headers)
            assert await call.answered() == 503
            assert call.json["type"] == "NoRoomError"
            assert "TMPDIR" in call.json["error"]
            assert "secret" not in call.json["error"]

    run(scenario())


def test_a_slow_upload_loses_its_place_when_another_one_needs_it(monkeypatch):
    async def scenario():
        monkeypatch.setattr(bodies, "SLOW_SECONDS", 0.2)
        fake = Gated()
        fake.open()
        async with running(app_of(fake, max_uploads=2, min_upload_rate=1000)) as app:
            reading = app.state.service.bodies
            fast = Call(app, body=bytes(10_000), end=False)
            slow = Call(app, body=form("a")[:10], end=False, content_type=FORM)
            await eventually(lambda: reading.being_read == 2)
            assert await Call(app, body=b"b").answered() == 429  # too early to tell
            await asyncio.sleep(0.25)
            slow.send_body(form("a")[10:11], end=False)
            assert await Call(app, body=b"c").answered() == 200
            assert await slow.answered() == 408
            assert "MIN_UPLOAD_RATE" in slow.json["error"]
            fast.send_body(b"", end=True)
            assert await fast.answered() == 200
            assert reading.being_read == 0

    run(scenario())


def test_a_slow_upload_that_is_in_nobodys_way_is_read_to_its_end(monkeypatch):
    async def scenario():
        monkeypatch.setattr(bodies, "SLOW_SECONDS", 0.01)
        fake = Gated()
        fake.open()
        async with running(app_of(fake, max_uploads=1, min_upload_rate=0)) as app:
            slow = Call(app, body=b"a", end=False)
            await asyncio.sleep(0.05)
            assert await Call(app, body=b"b").answered() == 429
            slow.send_body(b"", end=True)
            assert await slow.answered() == 200

    run(scenario())


def test_shutdown_ends_uploads_that_are_under_way():
    async def scenario():
        async with running(app_of(Gated())) as app:
            slow = Call(app, body=b"RIFF", end=False)
            await eventually(lambda: app.state.service.bodies.being_read == 1)
            app.state.service.drain()
            assert await slow.answered() == 503
            assert slow.json["type"] == "ShuttingDownError"

    run(scenario())


def test_shutdown_gets_along_with_an_upload_that_is_given_up_at_that_moment():
    async def scenario():
        async with running(app_of(Gated(), upload_idle_seconds=0.05)) as app:
            late = Call(app, body=b"RIFF", end=False)
            await eventually(lambda: app.state.service.bodies.being_read == 1)
            drained = asyncio.get_running_loop().create_future()

            def drain():
                app.state.service.drain()
                drained.set_result(True)

            asyncio.get_running_loop().call_later(0.06, drain)
            time.sleep(0.1)  # noqa: ASYNC251  both are due now, in one turn of the loop
            assert await late.answered() in (408, 503)
            assert drained.done()

    run(scenario())
