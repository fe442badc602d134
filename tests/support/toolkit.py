"""A stand-in for the default container's server: accepted requests, refusals, calls of a handler.

    HF_MODEL_DIR=folder HF_TASK=custom python toolkit.py     prints the address it listens on

Written from the contract, not from existing code: content types are compared letter by letter, one
call at a time runs in a thread, every exception is a 400, answers go through orjson with numpy.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

AUDIO = {
    f"audio/{name}"
    for name in (
        "wav", "x-wav", "wave", "flac", "x-flac", "mpeg", "x-mpeg-3", "ogg", "x-audio", "webm",
        "webm;codecs=opus", "m4a", "x-m4a", "AMR", "amr",
    )
}  # fmt: skip
JSON = {"application/json", "application/json; charset=UTF-8"}
ANSWERED = {None, "*/*", "application/json"}


def load_handler(directory: str) -> Any:
    """Load `EndpointHandler` from `handler.py`, with the directory first on the path."""
    name = "handler.EndpointHandler"
    spec = importlib.util.spec_from_file_location(name, Path(directory) / "handler.py")
    sys.path.insert(0, directory)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EndpointHandler(directory)


def read_body(body: bytes, kind: str | None) -> Any:
    """The content of a request body, by its content type."""
    if kind in JSON:
        content = json.loads(body)
        if "inputs" not in content and "instances" not in content:
            raise ValueError(f"Body needs to provide a inputs key, received: {body!r}")
        return content
    if kind in AUDIO:
        return {"inputs": body}
    raise ValueError(f'Content type "{kind}" not supported.')


def converted(value: str) -> int | bool | str:
    """A value of the query string: an integer, `true`, `false`, or else the text."""
    if value.isnumeric():
        return int(value)
    return {"true": True, "false": False}.get(value, value)


def fill_in(content: Any, query: dict[str, str], task: str) -> Any:
    """Add the parameters of the query string, or decode the base64 of a speech task."""
    if query and "parameters" not in content:
        content["parameters"] = {name: converted(value) for name, value in query.items()}
    elif task == "automatic-speech-recognition" and "parameters" in content:
        content["inputs"] = base64.b64decode(content["inputs"], validate=True)
    return content


def create_app(handler: Any, task: str) -> Starlette:
    """The application with the routes of the container."""
    one_at_a_time = asyncio.Semaphore(1)

    async def health(_: Request) -> Response:
        return PlainTextResponse("Ok")

    async def predict(request: Request) -> Response:
        try:
            content = read_body(await request.body(), request.headers.get("content-type"))
            content = fill_in(content, dict(request.query_params), task)
            async with one_at_a_time:
                answer = await run_in_threadpool(handler, content)
            accepted = request.headers.get("accept")
            if accepted not in ANSWERED:
                raise ValueError(f'Accept "{accepted}" not supported.')
            return as_json(answer, 200)
        except Exception as error:  # noqa: BLE001  the container does the same
            return as_json({"error": str(error)}, 400)

    def as_json(content: Any, status: int) -> Response:
        body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(body, status, media_type="application/json")

    health_routes = [Route(path, health, methods=["GET"]) for path in ("/", "/health")]
    predict_routes = [Route(path, predict, methods=["POST"]) for path in ("/", "/predict")]
    return Starlette(routes=health_routes + predict_routes)


def main() -> None:
    """Load the handler, then listen."""
    handler = load_handler(os.environ["HF_MODEL_DIR"])
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # a client may connect as soon as it reads the address
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(create_app(handler, os.environ["HF_TASK"]), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
