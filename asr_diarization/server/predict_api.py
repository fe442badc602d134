"""`POST /` and `POST /predict`: the endpoint's own contract, with four bodies and one stream.

With `Accept: text/event-stream` the answer is a stream of events, each with JSON as its data:

    event: waveform     {"duration": seconds, "peaks": [[...]]}    the waveform, once it is decoded
    event: progress     {"stage": "diarize", "done": 0.5, "total": 1.0}   after every batch
    event: segment      {"start", "end", "text", "words": [...]}   newly transcribed, no speaker yet
    event: transcript   the same JSON as without streaming         the last event, or
    event: error        {"error": sentence, "type": name, "status": number}

Peaks are the loudest sample, 0 to 1, of each of at most 4000 equal parts: one list, or one for each
channel that is transcribed apart. Stages are `queue` (only if other recordings come first, `total`
of them), `decode`, `diarize` and `transcribe`, in this order, the last two side by side on an
accelerator; `done / total` of each grows to 1. An error that is known before the first event (a bad
parameter, a full queue, no audio) has its own status and no stream. Lines that begin with a colon
keep the connection open. Closing it cancels the work.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from asr_diarization.formats.json import to_json, to_segment
from asr_diarization.protocols import Progress
from asr_diarization.server.error_responses import dumped, error_body, status_of
from asr_diarization.server.events import Emit, EventStream, event
from asr_diarization.server.openapi import (
    ERRORS,
    PREDICT_BODY,
    PREDICT_PARAMETERS,
    PREDICT_RESPONSE,
)
from asr_diarization.server.peaks import waveform_data
from asr_diarization.server.service import Service
from asr_diarization.server.uploads import Upload

EVENT_STREAM = "text/event-stream"


def predict_routes(service: Service) -> APIRouter:
    """The routes of this contract."""
    router = APIRouter(tags=["who said what"])
    description = {"requestBody": PREDICT_BODY, "parameters": PREDICT_PARAMETERS}

    @router.post(
        "/predict",
        summary="Who said what, when",
        responses={200: PREDICT_RESPONSE, **ERRORS},
        openapi_extra=description,
        response_class=Response,
    )
    @router.post("/", include_in_schema=False)
    async def predict(request: Request) -> Response:
        service.queue.check()
        upload = await service.uploads.read(request)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return _stream(service, request, service.for_streaming(upload))
        body = await service.transcribe(
            request, upload, lambda t: dumped(to_json(t, upload.warnings))
        )
        return Response(body, media_type="application/json")

    return router


def _stream(service: Service, request: Request, upload: Upload) -> EventStream:
    async def produce(emit: Emit) -> None:
        def report(progress: Progress) -> None:
            if progress.waveforms:
                emit(event(waveform_data(progress.waveforms), "waveform"))
            data = {"stage": progress.stage, "done": progress.done, "total": progress.total}
            emit(event(data, "progress"))
            for segment in progress.segments:
                emit(event(to_segment(segment), "segment"))

        emit(
            await service.transcribe(
                request, upload, lambda t: event(to_json(t, upload.warnings), "transcript"), report
            )
        )

    def error_event(error: Exception) -> bytes:
        return event({**error_body("/predict", error), "status": status_of(error)}, "error")

    return EventStream(produce, error_event)
