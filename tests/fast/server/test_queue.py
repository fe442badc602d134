"""Door 2 under load: the queue, callers who go away, shutdown."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asr_diarization.errors import AsrDiarizationError
from tests.support.asgi import (
    AUDIO,
    WATCH,
    Call,
    Gated,
    app_of,
    eventually,
    in_a_row,
    run,
    running,
)
from tests.support.fakes import ScriptedSpeech, pipeline


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
            assert [data["done"] for data in queue] == [0, 1, 2]
            assert {data["total"] for data in queue} == {2}

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


class EndlessSpeech(ScriptedSpeech):
    """Looks for speech until it is stopped."""

    def __init__(self):
        super().__init__()
        self.began, self.stopped = threading.Event(), threading.Event()

    def probabilities(self, waveform, on_block):
        self.began.set()
        try:
            for _ in range(10_000):
                on_block()
                time.sleep(0.001)
        except AsrDiarizationError:
            self.stopped.set()
            raise
        raise AssertionError("nobody stopped it")


@pytest.mark.parametrize("headers", [{}, WATCH])
def test_who_goes_away_while_speech_is_looked_for_frees_the_worker(headers):
    async def scenario():
        speech = EndlessSpeech()
        async with running(app_of(pipeline(speech=speech))) as app:
            call = Call(app, body=AUDIO, **headers)
            await eventually(speech.began.is_set)
            call.go_away()
            await eventually(speech.stopped.is_set)
            assert await call.answered() in (200, 499)
            await eventually(lambda: app.state.service.queue.running == 0)
            assert b"find_speech" not in call.body

    run(scenario())


def test_shutdown_stops_what_looks_for_speech_too_long():
    async def scenario():
        speech = EndlessSpeech()
        async with running(app_of(pipeline(speech=speech))) as app:
            call = Call(app, body=AUDIO)
            await eventually(speech.began.is_set)
            app.state.service.queue.close()
            assert await call.answered() == 503
            assert call.json["type"] == "ShuttingDownError"

    run(scenario())


@pytest.mark.parametrize("headers", [{}, WATCH])
def test_who_waits_when_the_server_waits_no_longer_is_told_in_our_words(headers):
    async def scenario():
        fake = Gated()
        async with running(app_of(fake)) as app:
            call = Call(app, body=b"a", **headers)
            await eventually(lambda: fake.seen == ["a"])
            if headers:
                fake.open(1)
                await call.until(b"progress")
            call.task.cancel()
            if headers:
                assert await call.answered() == 200
                name, data = call.events[-1]
                assert (name, data["type"], data["status"]) == ("error", "ShuttingDownError", 503)
            else:
                assert await call.answered() == 503
                assert call.json["type"] == "ShuttingDownError"
            fake.open()

    run(scenario())
