"""The address that the server listens on: its sockets, and who may call it there."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from asr_diarization.errors import ListenError
from asr_diarization.server.error_responses import error_response, record_error
from asr_diarization.server.settings import ServerSettings


def bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of `host`, bound and not listening yet; one port for all.

    Raises:
        ListenError: the port is in use, or `host` is no address of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in found:
            sockets += _bound(family, (address[0], port, *address[2:]), is_needed=not sockets)
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise listen_error(host, port, error) from error
    return sockets


def listen_error(host: str, port: int, error: OSError) -> ListenError:
    """The error in a sentence."""
    return ListenError(f"cannot listen on {host}:{port} (HOST, PORT): {error.strerror or error}")


def _bound(family: int, address: tuple[Any, ...], *, is_needed: bool) -> list[socket.socket]:
    """The socket, or none if this machine has no such family and it is not needed."""
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        if is_needed:
            raise
        return []
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if is_needed or error.errno != errno.EADDRNOTAVAIL:
            raise
        return []
    return [bound]


def url_of(host: str, sockets: list[socket.socket]) -> str:
    """Where a browser on this machine finds the server."""
    port = sockets[0].getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_for_this_machine(settings: ServerSettings) -> bool:
    """Whether only programs of this machine are meant: a loopback address, no keys, no names."""
    return _is_loopback(settings.host) and not settings.api_keys and not settings.trusted_hosts


def _is_loopback(name: str | None) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class ThisMachineOnly:
    """Refuses what a browser sends for a foreign page to a server that asks for no key.

    A page may send requests to any address (`Origin` names the page), and its own name may begin
    to stand for 127.0.0.1 (`Host` has that name; DNS rebinding). Pages of this machine are fine.
    """

    def __init__(self, app: ASGIApp, cors_origins: tuple[str, ...]) -> None:
        self._app, self._origins = app, cors_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] != "http" or (fault := self._fault(Headers(scope=scope))) is None:
            await self._app(scope, receive, send)
            return
        error = HTTPException(403, fault)
        record_error(scope, error)
        await error_response(scope["path"], error)(scope, receive, send)

    def _fault(self, headers: Headers) -> str | None:
        host, origin = headers.get("host"), headers.get("origin")
        if host is not None and not _is_loopback(_host_of(f"//{host}")):
            return (
                f"without API_KEYS this server answers to localhost only, not to {host[:60]!r}; "
                "TRUSTED_HOSTS names others, or * for all"
            )
        if origin is None or {origin, "*"} & set(self._origins):
            return None
        if not _is_loopback(_host_of(origin)):
            return f"pages of {origin[:60]!r} may not call this server (CORS_ORIGINS)"
        return None
