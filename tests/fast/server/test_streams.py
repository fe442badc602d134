"""Door 2 for those who watch: events, and errors among them."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

from asr_diarization.errors import OutOfMemoryError
from asr_diarization.server import events
from tests.support.asgi import (
    FORM,
    WATCH,
    Call,
    Gated,
    app_of,
    form,
    in_a_row,
    run,
    running,
    scripted,
)
from tests.support.fakes import wav


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
    monkeypatch.setattr(events, "COMMENT_SECONDS", 0.01)

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
