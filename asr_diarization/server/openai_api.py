"""`/v1`: OpenAI's audio API, so that its clients work with another base URL.

Beside OpenAI's form fields, those of `InferenceConfig` are read (`num_speakers`, ...; with the
`openai` package through `extra_body`). Other fields are ignored, and so is `temperature`: decoding
is greedy, and falls back to higher temperatures by itself. Any `model` is accepted: there is one.
Speakers are found when `response_format` is `diarized_json`, or `diarize=true` is sent.

`stream=true` sends `transcript.text.delta` events while windows are done, `transcript.text.segment`
events with speakers when all are known (`diarized_json` only), and `transcript.text.done` last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from asr_diarization.errors import InvalidRequestError
from asr_diarization.formats.json import to_diarized_json
from asr_diarization.formats.text import to_text
from asr_diarization.merging import join_texts
from asr_diarization.protocols import Progress
from asr_diarization.server.error_responses import error_body
from asr_diarization.server.events import Emit, EventStream, event
from asr_diarization.server.openai_form import TranscriptionForm
from asr_diarization.server.openapi import (
    MODEL_RESPONSES,
    MODELS_RESPONSE,
    OPENAI_BODY,
    OPENAI_ERRORS,
    OPENAI_RESPONSE,
)
from asr_diarization.server.service import Service
from asr_diarization.server.settings import ServerSettings
from asr_diarization.server.uploads import Upload
from asr_diarization.transcript import Segment, Transcript


def openai_routes(service: Service) -> APIRouter:
    """The routes of this contract."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    async def answer(request: Request, task: str) -> Response:
        service.queue.check()
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise InvalidRequestError("send multipart/form-data with the recording in field 'file'")
        fields = await service.uploads.read_form(request)
        form = TranscriptionForm(fields, task)
        upload = service.uploads.of_form(fields, lambda: form.parameters(service.settings))
        if form.stream:
            return _stream(service, request, service.for_streaming(upload), form)
        body = await service.transcribe(request, upload, lambda t: form.render(t, upload.warnings))
        return Response(body, media_type=form.media_type)

    description: dict[str, Any] = {
        "responses": {200: OPENAI_RESPONSE, **OPENAI_ERRORS},
        "openapi_extra": {"requestBody": OPENAI_BODY},
        "response_class": Response,
    }

    @router.post("/audio/transcriptions", summary="OpenAI's transcriptions", **description)
    async def transcriptions(request: Request) -> Response:
        return await answer(request, "transcribe")

    @router.post("/audio/translations", summary="OpenAI's translations into English", **description)
    async def translations(request: Request) -> Response:
        return await answer(request, "translate")

    model = {"id": _model_name(service.settings), "object": "model", "created": 0, "owned_by": "-"}

    @router.get("/models", responses={200: MODELS_RESPONSE, 401: OPENAI_ERRORS[401]})
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/models/{name:path}", responses=MODEL_RESPONSES)
    async def one_model(name: str) -> dict[str, Any]:
        if name != model["id"]:
            raise HTTPException(404, f"there is no model {name[:60]!r} here, only {model['id']!r}")
        return model

    return router


def _stream(
    service: Service, request: Request, upload: Upload, form: TranscriptionForm
) -> EventStream:
    async def produce(emit: Emit) -> None:
        texts: list[str] = []

        def report(progress: Progress) -> None:
            for segment in progress.segments:
                if delta := _delta(texts, segment):
                    emit(event({"type": "transcript.text.delta", "delta": delta}))

        def render(transcript: Transcript) -> bytes:
            return _last_events(transcript, with_segments=form.format == "diarized_json")

        emit(await service.transcribe(request, upload, render, report))

    return EventStream(produce, lambda error: event(error_body(request.url.path, error)))


def _delta(texts: list[str], segment: Segment) -> str:
    """The text that the segment adds; deltas joined are `to_text` of the whole transcript."""
    before = len(join_texts(texts))
    texts[:] = [join_texts((*texts, segment.text))]
    return texts[0][before:]


def _last_events(transcript: Transcript, *, with_segments: bool) -> bytes:
    done = {"type": "transcript.text.done", "text": to_text(transcript)}
    segments = to_diarized_json(transcript)["segments"] if with_segments else []
    return b"".join(map(event, (*segments, done)))


def _model_name(settings: ServerSettings) -> str:
    name = settings.asr_model
    return Path(name).name if Path(name).is_dir() else name
