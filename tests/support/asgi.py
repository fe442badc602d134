"""Requests to an application in this process, one step at a time; callers can go away."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager

from starlette.testclient import TestClient

from asr_diarization.errors import InvalidAudioError
from asr_diarization.protocols import Progress
from asr_diarization.server.app import create_app
from asr_diarization.server.settings import ServerSettings
from asr_diarization.transcript import Transcript, Turn
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, say, wav

TURNS = (Turn(0, 2, "SPEAKER_00"), Turn(2, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite well.", 2, 4))
AUDIO = wav(4.0)
TEXT = "How are you? Quite well."
WATCH = {"accept": "text/event-stream"}
FORM = "multipart/form-data; boundary=x"


def scripted():
    """A pipeline that decodes for real and knows what will be said."""
    return pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))


class Gated:
    """A pipeline that works step by step, each when it is allowed; says the audio's own bytes."""

    def __init__(self, steps: int = 2, error: BaseException | None = None) -> None:
        self.steps, self.error = steps, error
        self.gate = threading.Semaphore(0)
        self.seen: list[str] = []
        self.ended: list[str] = []
        self.parameters = None

    def open(self, times: int = 1000) -> None:
        self.gate.release(times)

    def check(self, file, parameters):
        file.seek(0)
        if file.read() == b"bad":
            raise InvalidAudioError("no audio")

    def __call__(self, audio, parameters, on_progress):
        audio.seek(0)
        name = audio.read().decode()
        self.parameters = parameters
        self.seen.append(name)
        try:
            for step in range(1, self.steps + 1):
                assert self.gate.acquire(timeout=10)
                said = say(f"{name} {step}", step - 1, step)
                on_progress(Progress("transcribe", step, self.steps, (said,)))
            if self.error:
                raise self.error
            segments = tuple(say(f"{name} {s}", s - 1, s) for s in range(1, self.steps + 1))
            self.ended.append(name)
            return Transcript("en", float(self.steps), segments)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise


class Call:
    """One request; `await answered()` gives its status, or read `events` while it lasts."""

    def __init__(self, app, path="/predict", body=b"", *, method="POST", end=True, **headers):
        path, _, query = path.partition("?")
        self.status, self.headers, self.body = 0, {}, b""
        self._incoming: asyncio.Queue = asyncio.Queue()
        self._changed = asyncio.Condition()
        self.send_body(body, end=end)
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [
                (name.replace("_", "-").encode(), value.encode())
                for name, value in {"host": "here", **headers}.items()
            ],
            "client": ("127.0.0.1", 1), "server": ("here", 80), "state": {}, "app": app,
        }  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self._incoming.get, self._send))

    def send_body(self, body: bytes, *, end: bool) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": not end})

    def go_away(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def _send(self, message) -> None:
        async with self._changed:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {n.decode(): v.decode() for n, v in message["headers"]}
            else:
                self.body += message.get("body", b"")
            self._changed.notify_all()

    async def until(self, part: bytes) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: part in self.body)

    async def answered(self) -> int:
        async with asyncio.timeout(10):
            await self.task
        return self.status

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str | None, object]]:
        """(name, data) of each event so far."""
        found = []
        for block in self.body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
            if "data" in fields:
                found.append((fields.get("event"), json.loads(fields["data"])))
        return found


@asynccontextmanager
async def running(app):
    """The application between start and stop."""
    async with app.router.lifespan_context(app):
        yield app


async def eventually(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  what it waits for happens in a thread
            await asyncio.sleep(0.001)


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


def client_of(ready=None, **settings) -> TestClient:
    """Whole requests, one after the other."""
    settings = ServerSettings(diarization_model="scripted", **settings)
    app = create_app(settings, pipeline=ready or scripted())
    return TestClient(app, raise_server_exceptions=False)
