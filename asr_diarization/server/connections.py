"""Connections: how many there may be, and how long each may wait for a request or a reader.

uvicorn bounds the time between two requests only. A connection that sends half a header, and one
whose answer nobody takes, would stay open for ever, until the process has no descriptor left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from asr_diarization.server.settings import ServerSettings

logger = logging.getLogger("asr_diarization.server")

MAX_BACKLOG = 128
"""Connections that the kernel keeps until they are accepted."""
SPARE_DESCRIPTORS = 16
"""For what is opened now and then: a decoder's file, a library's."""
QUIET_SECONDS = 60.0
"""A server without room says so at most this often."""


class Connections(ServerState):
    """All connections of a server; those that wait for a request leave when others need the room.

    Whoever holds connections open without a request therefore keeps nobody out.
    """

    def __init__(self, settings: ServerSettings, max_connections: int) -> None:
        super().__init__()
        self.max_connections = max_connections
        self.header_seconds = settings.header_seconds
        self.idle_seconds = settings.upload_idle_seconds
        self.waiting: dict[Connection, None] = {}
        """Those without a request, the one that has waited longest first."""
        self._warned = -QUIET_SECONDS

    def make_room(self) -> bool:
        """Close the connection that has waited longest for a request; False if none waits."""
        for connection in self.waiting:
            connection.abort()
            return True
        self.warn(f"all {self.max_connections} connections are in use (MAX_CONNECTIONS)")
        return False

    def warn(self, message: str) -> None:
        """Log `message`, unless something was logged here a moment ago."""
        now = time.monotonic()
        if now - self._warned >= QUIET_SECONDS:
            self._warned = now
            logger.warning(message)

    def on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error of the event loop; it repeats those of `accept` a hundred times."""
        if "accept" in context.get("message", ""):
            self.warn(f"no connection can be accepted: {context.get('exception')} (ulimit -n)")
        else:
            loop.default_exception_handler(context)


class Connection(H11Protocol):
    """uvicorn's connection, which ends when it sends no request or takes no answer."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(server_state, Connections)
        self._all = server_state
        self._no_request: asyncio.TimerHandle | None = None
        self._no_reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self._all.max_connections and not self._all.make_room():
            self._refuse(503, "too many connections; try again in a moment", "BusyError")
        else:
            self._wait(self._all.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection and its timers."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Read on; a header that has begun must end before the time that the first byte set."""
        super().data_received(data)
        if self._has_request:
            self._stop_waiting()
        elif self._no_request is None and not self.transport.is_closing():
            self._wait(self._all.header_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request; what is left of a refused upload is read for a while."""
        super().on_response_complete()
        if self._has_request or self.transport.is_closing():
            return
        self._all.waiting[self] = None
        if self.conn.their_state is h11.SEND_BODY:
            self._wait(self._all.idle_seconds)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a request, even if nobody took the last answer."""
        if self.transport.get_write_buffer_size():
            self.abort()
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Begin to wait for a reader."""
        super().pause_writing()
        self._no_reader = self.loop.call_later(self._all.idle_seconds, self.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._no_reader is not None:
            self._no_reader.cancel()
            self._no_reader = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP, if no answer has begun, and close.

        uvicorn answers by `conn`. The answer of a request whose body breaks here would then fail,
        and be taken for our fault.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(400, msg.rstrip("."), "InvalidRequestError")
        else:
            self.transport.close()

    def abort(self) -> None:
        """Close the connection without another word."""
        self._stop_waiting()
        self.connections.discard(self)
        self.transport.abort()

    @property
    def _has_request(self) -> bool:
        """Whether a request has come that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._all.waiting[self] = None
        self._no_request = self.loop.call_later(seconds, self.abort)

    def _stop_waiting(self) -> None:
        self._all.waiting.pop(self, None)
        if self._no_request is not None:
            self._no_request.cancel()
            self._no_request = None

    def _refuse(self, status: int, message: str, kind: str) -> None:
        """Answer and close, past uvicorn, which answers requests only."""
        body = json.dumps({"error": message, "type": kind})
        retry = "Retry-After: 1\r\n" if status == 503 else ""
        reason = {400: "Bad Request", 503: "Service Unavailable"}[status]
        head = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{retry}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()


def room_for_connections(settings: ServerSettings) -> tuple[int, int]:
    """The number of connections, and of those accepted at once, that the descriptors suffice for.

    A quarter at least of the descriptors is left for connections, however many uploads may come.
    """
    if sys.platform == "win32":
        return settings.max_connections, MAX_BACKLOG
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return settings.max_connections, MAX_BACKLOG
    used = len(os.listdir("/dev/fd"))  # noqa: PTH208  a name is as good as a path here
    free = max(8, limit - used - SPARE_DESCRIPTORS)
    backlog = min(MAX_BACKLOG, free // 8)
    uploads = min(settings.max_uploads + settings.max_queue + 1, free // 4)
    # What is accepted in three turns of the loop is open before the first of it is counted.
    room = min(settings.max_connections, free - 3 * backlog - uploads)
    if room < settings.max_connections:
        logger.warning(
            "the limit of %d descriptors (ulimit -n) leaves room for %d connections, "
            "not MAX_CONNECTIONS=%d", limit, room, settings.max_connections,
        )  # fmt: skip
    return room, max(1, backlog)
