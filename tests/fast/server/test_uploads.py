"""Door 2 and what arrives badly: broken off, too slowly, onto a full disk, too late."""

from __future__ import annotations

import asyncio
import errno
import tempfile
import time

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from starlette import formparsers

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
