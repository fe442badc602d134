"""Server-sent events: a response that is sent while a recording is being worked on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from asr_diarization.errors import ShuttingDownError
from asr_diarization.server.error_responses import dumped, record_error
from asr_diarization.server.queueing import UNFINISHED

COMMENT_SECONDS = 10.0
"""Proxies close connections on which nothing happens."""

Emit: TypeAlias = Callable[[bytes], None]
"""Send an event; may be called from any thread."""


def event(data: object, name: str | None = None) -> bytes:
    """One event; JSON holds no line break, so one `data:` line is enough."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + dumped(data) + b"\n\n"


class EventStream(Response):
    """Sends the events that `produce` emits, as they come.

    The answer begins with the first event, so that an error before it has its own status; an error
    after it becomes the last event, which `on_error` makes.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        produce: Callable[[Emit], Awaitable[None]],
        on_error: Callable[[Exception], bytes],
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._produce, self._on_error = produce, on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send everything; `produce` itself notices when the caller disconnects."""
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def emit(data: bytes | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, data)

        producing = asyncio.ensure_future(self._produce(emit))
        producing.add_done_callback(lambda _: emit(None))
        started = False
        try:
            while (data := await _next(events)) is not None:
                if not started:
                    await self._start(send)
                    started = True
                await _send(send, data)
            await producing
        except (Exception, asyncio.CancelledError) as raised:
            if not started:
                raise
            error = raised if isinstance(raised, Exception) else ShuttingDownError(UNFINISHED)
            record_error(scope, error)
            await _send(send, self._on_error(error))
        finally:
            producing.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )


async def _next(events: asyncio.Queue[bytes | None]) -> bytes | None:
    try:
        async with asyncio.timeout(COMMENT_SECONDS):
            return await events.get()
    except TimeoutError:
        return b": still here\n\n"


async def _send(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})
