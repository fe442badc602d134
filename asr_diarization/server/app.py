"""Door 2: a server with three APIs.

`POST /` and `/predict` are the endpoint's own (`predict_api`), `/render` writes files
(`render_api`), `/v1` is OpenAI's (`openai_api`). Models run in one thread, one recording at a time;
the event loop only moves bytes, so that `/health` always answers.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from asr_diarization import __version__
from asr_diarization.assembly import load_pipeline
from asr_diarization.server.connections import (
    MAX_BACKLOG,
    Connection,
    Connections,
    room_for_connections,
)
from asr_diarization.server.error_responses import STATUS, error_response, record_error, status_of
from asr_diarization.server.listening import (
    ThisMachineOnly,
    bind,
    is_for_this_machine,
    listen_error,
    url_of,
)
from asr_diarization.server.middleware import ApiKeys, JsonLines, RequestLog
from asr_diarization.server.openai_api import openai_routes
from asr_diarization.server.openapi import docs_page
from asr_diarization.server.predict_api import predict_routes
from asr_diarization.server.render_api import render_routes
from asr_diarization.server.service import Recognizer, Service
from asr_diarization.server.settings import ServerSettings

UI_DIRECTORY = Path(__file__).parents[1] / "ui"
DESCRIPTION = "Who said what, when: a recording in, a transcript with speakers out."


def create_app(
    settings: ServerSettings, pipeline: Recognizer | None = None, *, this_machine_only: bool = False
) -> FastAPI:
    """The application; loads the models that `settings` names unless it is given a pipeline.

    `this_machine_only` refuses foreign host names and foreign pages; see `ThisMachineOnly`.

    Raises:
        ModelLoadError: as `load_pipeline`.
    """
    service = Service(settings, pipeline or load_pipeline(settings))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.queue.close()

    app = FastAPI(
        title="asr-diarization",
        description=DESCRIPTION,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(predict_routes(service))
    app.include_router(render_routes(service))
    app.include_router(openai_routes(service))
    _add_operators_routes(app, service)
    if UI_DIRECTORY.is_dir():
        _add_page(app, settings)
    _add_error_handlers(app, service)
    _add_middleware(app, service, this_machine_only=this_machine_only)
    return app


def _add_operators_routes(app: FastAPI, service: Service) -> None:
    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Alive", response_class=PlainTextResponse, tags=["operators"])
    async def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    @app.head("/ready", include_in_schema=False)
    @app.get(
        "/ready",
        summary="Accepts work",
        tags=["operators"],
        responses={503: {"description": "shutting down"}},
    )
    async def ready() -> JSONResponse:
        queue = service.queue
        body = {"ready": not queue.is_closing, "running": queue.running, "waiting": queue.waiting}
        return JSONResponse(body, status_code=503 if queue.is_closing else 200)

    @app.get(
        "/metrics", summary="For Prometheus", tags=["operators"], response_class=PlainTextResponse
    )
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type="text/plain; version=0.0.4")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        headers = {"Content-Security-Policy": policy}
        return HTMLResponse(docs_page(app.openapi()), headers=headers)


def _add_page(app: FastAPI, settings: ServerSettings) -> None:
    """The page, and the settings that it needs before a key is typed."""

    @app.get("/ui/settings.json", include_in_schema=False)
    async def page_settings() -> dict[str, bool]:
        return {
            "api_key": bool(settings.api_keys),
            "assistant": settings.assistant_model is not None,
            "diarization": settings.diarization_model is not None,
        }

    app.mount("/ui", StaticFiles(directory=UI_DIRECTORY, html=True), name="ui")


def _add_error_handlers(app: FastAPI, service: Service) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        record_error(request.scope, error)
        headers = {}
        if status_of(error) in (429, 503):
            headers["Retry-After"] = str(service.queue.retry_after_seconds())
        return error_response(request.url.path, error, headers)

    for kind in (*STATUS, HTTPException):
        app.add_exception_handler(kind, answer)


def _add_middleware(app: FastAPI, service: Service, *, this_machine_only: bool) -> None:
    """The middleware that is added last sees a request first."""
    settings = service.settings
    if settings.api_keys:
        app.add_middleware(ApiKeys, keys=settings.api_keys)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After", "Content-Disposition"],
        )
    if this_machine_only:
        app.add_middleware(ThisMachineOnly, cors_origins=settings.cors_origins)
    if settings.trusted_hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.trusted_hosts))
    app.add_middleware(RequestLog, metrics=service.metrics)


def serve(settings: ServerSettings) -> None:
    """Take the address, load the models, listen, and answer until a signal comes.

    Raises:
        ListenError: the address is in use; no model was loaded.
        ModelLoadError: as `load_pipeline`; the server did not listen yet.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sockets = bind(settings.host, settings.port)
    app = create_app(settings, this_machine_only=is_for_this_machine(settings))
    names = ("asr_model", "assistant_model", "diarization_model", "device", "precision")
    loaded = {name: getattr(settings, name) for name in names}
    logging.getLogger(__name__).info("loaded", extra={"fields": loaded})
    max_connections, backlog = room_for_connections(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Connection,
        ws="none",
        backlog=backlog,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=int(settings.shutdown_seconds) + 5,
    )
    server = Server(config, app.state.service, Connections(settings, max_connections))
    try:
        server.run(sockets)
    except KeyboardInterrupt:  # uvicorn raises the signal again when all has ended
        if server.force_exit:
            raise


class Server(uvicorn.Server):
    """After a signal, waiting requests are refused and running ones get `SHUTDOWN_SECONDS`."""

    def __init__(self, config: uvicorn.Config, service: Service, connections: Connections) -> None:
        super().__init__(config)
        self._service = service
        self.server_state = self._connections = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen.

        Raises:
            ListenError: another server began to listen on the address meanwhile.
        """
        asyncio.get_running_loop().set_exception_handler(self._connections.on_loop_error)
        host, port = self.config.host, self.config.port
        try:
            await super().startup(sockets)
        except OSError as error:
            raise listen_error(host, port, error) from error
        for listening in sockets or ():
            listening.listen(MAX_BACKLOG)  # more than are accepted at once, which `backlog` bounds
        if sockets:
            # Not as fields: whoever starts it looks for the address.
            logging.getLogger(__name__).info(
                "running on %s (the page: /ui, the API: /docs)", url_of(host, sockets)
            )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all requests, then end."""
        queue = self._service.queue
        self._service.drain()
        last_call = asyncio.get_running_loop().call_later(
            self._service.settings.shutdown_seconds, queue.close
        )
        await super().shutdown(sockets)
        last_call.cancel()
