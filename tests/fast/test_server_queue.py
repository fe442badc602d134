"""Door 2 under load: the queue, callers who go away, streams, slow uploads, shutdown."""

from __future__ import annotations

import asyncio
import errno
import tempfile

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asgi import Call, Gated, eventually, running, scripted
from fakes import wav

from asr_diarization import events
from asr_diarization.errors import OutOfMemoryError
from asr_diarization.server import create_app
from asr_diarization.server_settings import ServerSettings

WATCH = {"accept": "text/event-stream"}
FORM = "multipart/form-data; boundary=x"


def app_of(fake, **settings):
    return create_app(ServerSettings(diarization_model="fake", **settings), pipeline=fake)


def form(audio: str, **fields: str) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}' for n, v in fields.items()
    ]
    file = '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return "\r\n".join([*parts, file + audio, "--x--\r\n"]).encode()


async def in_a_row(app, *names, **headers):
    """Calls that stand in the queue in this order, the first one being worked on."""
    calls, queue = [], app.state.service.queue
    for name in names:
        calls.append(Call(app, body=name, **headers))
        await eventually(lambda: queue.running and queue.running + queue.waiting == len(calls))
    return calls


def run(scenario) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def test_one_at_a_time_in_order_and_each_gets_its_own():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            calls = await in_a_row(app, b"a", b"b", b"c")
            health = Call(app, "/health", method="GET")
            assert await health.answered() == 200
            ready = Call(app, "/ready", method="GET")
            await ready.answered()
            assert ready.json == {"ready": True, "running": 1, "waiting": 2}
            fake.open()
            assert [await call.answered() for call in calls] == [200] * 3
            assert [call.json["text"] for call in calls] == ["a 1 a 2", "b 1 b 2", "c 1 c 2"]
            assert fake.seen == ["a", "b", "c"]

    run(scenario())


def test_beyond_the_queue_it_is_429_with_a_time():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, max_queue=1)) as app:
            calls = await in_a_row(app, b"a", b"b")
            # Refused before its body was read: there is none.
            refused = Call(app, body=b"", end=False)
            assert await refused.answered() == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 600
            assert refused.json["type"] == "BusyError"
            openai = Call(app, "/v1/audio/transcriptions", end=False)
            assert await openai.answered() == 429
            assert openai.json["error"]["type"] == "rate_limit_error"
            fake.open()
            assert [await call.answered() for call in calls] == [200, 200]
            assert await Call(app, body=b"d").answered() == 200

    run(scenario())


def test_no_queue_at_all():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, max_queue=0)) as app:
            first = Call(app, body=b"a")
            await eventually(lambda: fake.seen == ["a"])
            assert await Call(app, body=b"b").answered() == 429
            fake.open()
            assert await first.answered() == 200

    run(scenario())


@pytest.mark.parametrize("headers", [{}, WATCH])
def test_what_is_no_audio_waits_for_nobody(headers):
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            first = Call(app, body=b"a")
            await eventually(lambda: fake.seen == ["a"])
            assert await Call(app, body=b"bad", **headers).answered() == 415
            fake.open()
            assert await first.answered() == 200

    run(scenario())


def test_who_goes_away_while_waiting_is_never_worked_for():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            first, second, third = await in_a_row(app, b"a", b"b", b"c")
            second.go_away()
            assert await second.answered() == 499
            fake.open()
            assert [await first.answered(), await third.answered()] == [200, 200]
            assert fake.seen == ["a", "c"]

    run(scenario())


@pytest.mark.parametrize("headers", [{}, WATCH])
def test_who_goes_away_meanwhile_stops_the_work_at_the_next_batch(headers):
    async def scenario():
        fake = Gated(steps=100)
        async with running(app_of(fake)) as app:
            first = Call(app, body=b"a", **headers)
            await eventually(lambda: fake.seen == ["a"])
            second = Call(app, body=b"b")
            first.go_away()
            await eventually(lambda: next(iter(app.state.service.queue._jobs)).error)
            fake.open(1)
            await eventually(lambda: fake.ended == ["CancelledError"])
            fake.open()
            assert await second.answered() == 200
            await first.answered()
            assert fake.ended == ["CancelledError", "b"]

    run(scenario())


def test_an_upload_that_is_broken_off_leaves_nothing():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, max_uploads=1)) as app:
            for kind in ("audio/wav", FORM, "application/json"):
                call = Call(app, body=form("abc")[:60], end=False, content_type=kind)
                await eventually(lambda: app.state.service.uploads._being_read == 1)
                busy = Call(app, body=b"b")
                assert await busy.answered() == 429
                assert "MAX_UPLOADS" in busy.json["error"]
                call.go_away()
                assert await call.answered() == 499
                assert app.state.service.uploads._being_read == 0
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


def test_events_of_a_watched_request():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake, stream_batch_size=3)) as app:
            call = Call(app, body=b"a", **WATCH)
            fake.open(1)
            await call.until(b"event: segment")
            assert call.headers["content-type"].startswith("text/event-stream")
            assert "content-length" not in call.headers
            fake.open()
            assert await call.answered() == 200
            names = [name for name, _ in call.events]
            assert names == ["progress", "segment", "progress", "segment", "transcript"]
            assert call.events[0][1] == {"stage": "transcribe", "done": 1, "total": 2}
            assert call.events[1][1]["text"] == "a 1"
            assert call.events[1][1]["words"][1]["word"] == "1"
            plain = Call(app, body=b"a")
            await plain.answered()
            assert call.events[-1][1] == plain.json
            assert fake.parameters.batch_size == 24
            await Call(app, body=b"a", **WATCH).answered()
            assert fake.parameters.batch_size == 3
            await Call(app, "/predict?batch_size=7", b"a", **WATCH).answered()
            assert fake.parameters.batch_size == 7

    run(scenario())


def test_events_tell_of_the_queue():
    async def scenario():
        fake = Gated(steps=1)
        async with running(app_of(fake)) as app:
            first, second = await in_a_row(app, b"a", b"b", **WATCH)
            await second.until(b"queue")
            fake.open()
            await first.answered()
            await second.answered()
            assert [data for name, data in second.events if name == "progress"][:2] == [
                {"stage": "queue", "done": 0, "total": 1},
                {"stage": "queue", "done": 1, "total": 1},
            ]

    run(scenario())


def test_an_error_before_the_first_event_has_its_own_status():
    async def scenario():
        fake = Gated(steps=0, error=OutOfMemoryError("too small"))
        async with running(app_of(fake)) as app:
            call = Call(app, body=b"a", **WATCH)
            assert await call.answered() == 503
            assert call.json == {"error": "too small", "type": "OutOfMemoryError"}
            bad = Call(app, "/predict?num_speakers=x", b"a", **WATCH)
            assert await bad.answered() == 422

    run(scenario())


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            OutOfMemoryError("too small"),
            {"error": "too small", "type": "OutOfMemoryError", "status": 503},
        ),
        (
            ValueError("secret"),
            {
                "error": "internal error; the server's log has the details",
                "type": "InternalError",
                "status": 500,
            },
        ),
    ],
)
def test_an_error_after_it_is_the_last_event(error, shown):
    async def scenario():
        fake = Gated(error=error)
        fake.open()
        async with running(app_of(fake)) as app:
            call = Call(app, body=b"a", **WATCH)
            assert await call.answered() == 200
            assert call.events[-1] == ("error", shown)
            openai = Call(
                app, "/v1/audio/transcriptions", form("a", stream="true"), content_type=FORM
            )
            await openai.answered()
            assert openai.events[-1][1]["error"]["message"] == shown["error"]

    run(scenario())


def test_an_error_in_a_stream_is_in_the_log_and_counted(caplog):
    caplog.set_level("INFO")

    async def scenario():
        fake = Gated(error=RuntimeError("a secret path"))
        fake.open()
        async with running(app_of(fake)) as app:
            assert await Call(app, body=b"a", **WATCH).answered() == 200
            page = app.state.service.metrics.page().decode()
            assert 'asr_requests_total{route="/predict",status="500"} 1.0' in page

    run(scenario())
    (failed,) = [r for r in caplog.records if r.message == "failed"]
    (line,) = [r.fields for r in caplog.records if r.message == "request"]
    assert failed.exc_info[0] is RuntimeError
    assert failed.fields["request_id"] == line["request_id"]
    assert (line["error"], line["status"]) == ("RuntimeError", 500)


def test_a_watcher_is_shown_what_the_recording_looks_like():
    async def scenario():
        async with running(app_of(scripted())) as app:
            call = Call(app, body=wav(4.0), **WATCH)
            assert await call.answered() == 200
            assert call.events[0][0] == "waveform"
            picture = call.events[0][1]
            assert picture["duration"] == 4.0
            (peaks,) = picture["peaks"]
            assert 3000 < len(peaks) <= 4000
            assert 0.25 < max(peaks) < 0.35  # a tone of 10000 of 32768

    run(scenario())


def test_a_silent_stream_is_kept_open(monkeypatch):
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.01)

    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            call = Call(app, body=b"a", **WATCH)
            await call.until(b": still here\n\n: still here\n\n")
            fake.open()
            await call.answered()
            assert call.events[-1][0] == "transcript"

    run(scenario())


@pytest.mark.parametrize("diarized", [False, True])
def test_openais_stream(diarized):
    async def scenario():
        fake = Gated(steps=3)
        async with running(app_of(fake)) as app:
            fields = {"stream": "true"}
            if diarized:
                fields["response_format"] = "diarized_json"
            call = Call(app, "/v1/audio/transcriptions", form("a", **fields), content_type=FORM)
            fake.open(1)
            await call.until(b"transcript.text.delta")
            fake.open()
            await call.answered()
            kinds = [data["type"].rpartition(".")[2] for _, data in call.events]
            assert kinds == ["delta"] * 3 + ["segment"] * 3 * diarized + ["done"]
            deltas = [data["delta"] for _, data in call.events[:3]]
            assert "".join(deltas) == call.events[-1][1]["text"] == "a 1 a 2 a 3"

    run(scenario())


def test_shutdown_refuses_who_waits_and_finishes_what_runs():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            first, second = await in_a_row(app, b"a", b"b")
            app.state.service.queue.drain()
            assert await second.answered() == 503
            assert second.headers["retry-after"]
            assert second.json["type"] == "ShuttingDownError"
            assert await Call(app, body=b"c").answered() == 503
            ready = Call(app, "/ready", method="GET")
            assert await ready.answered() == 503
            assert await Call(app, "/health", method="GET").answered() == 200
            fake.open()
            assert await first.answered() == 200
            assert fake.seen == ["a"]

    run(scenario())


def test_shutdown_ends_uploads_that_are_under_way():
    async def scenario():
        async with running(app_of(Gated())) as app:
            slow = Call(app, body=b"RIFF", end=False)
            await eventually(lambda: app.state.service.uploads._being_read == 1)
            app.state.service.drain()
            assert await slow.answered() == 503
            assert slow.json["type"] == "ShuttingDownError"

    run(scenario())


def test_who_waits_is_told_when_the_queue_moves():
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            first = Call(app, body=b"a")
            await eventually(lambda: fake.seen == ["a"])
            second = Call(app, body=b"b")
            await eventually(lambda: app.state.service.queue.waiting == 1)
            third = Call(app, body=b"c", **WATCH)
            await third.until(b"queue")
            fake.open()
            for call in (first, second, third):
                await call.answered()
            queue = [data for name, data in third.events if data.get("stage") == "queue"]
            assert [data["done"] for data in queue] == [0, 1, 2, 2]
            assert {data["total"] for data in queue} == {2}

    run(scenario())


@pytest.mark.parametrize("headers", [{}, {"content_type": FORM}], ids=["raw", "form"])
def test_a_full_disk_is_said_and_not_the_callers_fault(monkeypatch, headers):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario():
        async with running(app_of(Gated())) as app:
            monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", full)
            call = Call(app, body=form("a") if headers else b"a", **headers)
            assert await call.answered() == 503
            assert call.json["type"] == "NoRoomError"
            assert call.headers["retry-after"]

    run(scenario())


def test_shutdown_stops_what_runs_too_long():
    async def scenario():
        fake = Gated(steps=100)
        async with running(app_of(fake)) as app:
            first = Call(app, body=b"a")
            await eventually(lambda: fake.seen == ["a"])
            app.state.service.queue.close()
            fake.open(1)
            assert await first.answered() == 503
            assert fake.ended == ["ShuttingDownError"]

    run(scenario())
