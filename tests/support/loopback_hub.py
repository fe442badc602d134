"""A hub on loopback, for the real huggingface_hub: repositories, tokens, gates."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import huggingface_hub
import pytest

TOKEN = "hf_of_this_test"
REVISION = "0" * 40


@dataclass
class Repository:
    """A repository of the hub."""

    files: dict[str, bytes] = field(default_factory=dict)
    gated: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    parameters: int = 0


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class LoopbackHub:
    """Its contents may be changed while it runs; `requests` holds all requests it got."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    """Gated repositories whose terms the account has accepted."""
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    status: int = 200
    """Any other status is the answer to every request."""

    def __post_init__(self) -> None:
        self.accounts[TOKEN] = {
            "type": "user",
            "name": "somebody",
            "auth": {"accessToken": {"role": "read"}},
        }

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        if self.status != 200:
            return self.status, {}, b"{}"
        account = self.accounts.get(request.headers.get("authorization", "")[len("Bearer ") :])
        if request.path == "/api/whoami-v2":
            return self._json(account) if account else (401, {}, b'{"error": "bad token"}')
        if request.headers.get("authorization") and not account:  # for every path
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b""
        name, rest = self._split(request.path)
        repository = self.repositories.get(name)
        if repository is None:
            return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "not found"}, b""
        is_open = not repository.gated or (account and name in self.accepted)
        if rest.startswith(("auth-check", "resolve/")) and not is_open:
            message = f"Access to model {name} is restricted"
            status = 403 if account else 401
            return status, {"X-Error-Code": "GatedRepo", "X-Error-Message": message}, b""
        if rest.startswith("auth-check"):
            return self._json({})
        if rest.startswith("resolve/"):
            return self._file(repository, rest.split("/", 2)[2])
        return self._json(self._info(name, repository))

    def _split(self, path: str) -> tuple[str, str]:
        parts = unquote(path).strip("/").removeprefix("api/models/").split("/")
        return "/".join(parts[:2]), "/".join(parts[2:])

    def _file(self, repository: Repository, name: str) -> tuple[int, dict[str, str], bytes]:
        if name not in repository.files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": REVISION}, b""
        content = repository.files[name]
        etag = hashlib.sha1(content).hexdigest()
        return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION}, content

    def _info(self, name: str, repository: Repository) -> dict[str, Any]:
        sizes = {name: len(content) for name, content in repository.files.items()}
        siblings = [
            {"rfilename": file, "size": size, "blobId": "0", "lfs": None}
            for file, size in {**sizes, **repository.sizes}.items()
        ]
        info: dict[str, Any] = {"id": name, "sha": REVISION, "siblings": siblings, "tags": []}
        if repository.parameters:
            total = repository.parameters
            info["safetensors"] = {"parameters": {"F16": total}, "total": total}
        return info

    def _json(self, content: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(content).encode()


@contextmanager
def listening(hub: Any) -> Iterator[str]:
    """Serve an object with `answer(request)` and `requests`; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            body = self._body()
            split = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, split.path, split.query, headers, body)
            hub.requests.append(request)
            status, more, content = hub.answer(request)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _reply  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub.url
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def asking(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real client, of either generation, uses `url` as the hub and the host of endpoints."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", f"{url}/v2")
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, huggingface_hub.file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    # A session that was created while the hub was switched off stays offline.
    forget = getattr(huggingface_hub, "close_session", None)
    forget = forget or huggingface_hub.utils.reset_sessions
    forget()
    yield
    forget()
