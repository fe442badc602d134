"""`/v1`: OpenAI's audio API, so that its clients work with another base URL.

Besides OpenAI's form fields, those of `InferenceConfig` are read (`num_speakers`, ...; with the
`openai` package through `extra_body`); others are ignored, and so is `temperature`: decoding is
greedy, and falls back to higher temperatures by itself. Any `model` is accepted, there is only one.
Speakers are looked for when `response_format` is `diarized_json`, or `diarize=true` is sent.

`stream=true` sends `transcript.text.delta` events while windows are done, `transcript.text.segment`
ones with speakers when all are known (`diarized_json` only), and `transcript.text.done` last.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError, InvalidRequestError
from asr_diarization.formats.json import to_diarized_json, to_verbose_json
from asr_diarization.formats.registry import FORMATS
from asr_diarization.formats.text import to_text
from asr_diarization.merging import join_texts
from asr_diarization.protocols import Progress
from asr_diarization.server.error_responses import dumped, error_body
from asr_diarization.server.events import Emit, EventStream, event
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

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
GRANULARITIES = ("word", "segment")


def openai_routes(service: Service) -> APIRouter:
    """The routes of this contract."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    async def answer(request: Request, task: str) -> Response:
        service.queue.check()
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise InvalidRequestError("send multipart/form-data with the recording in field 'file'")
        form = await service.uploads.read_form(request)
        wish = _Wish(form, task)
        upload = service.uploads.of_form(form, lambda: wish.check(service.settings))
        if wish.stream:
            return _stream(service, request, service.for_watching(upload), wish)
        body = await service.transcribe(request, upload, lambda t: wish.render(t, upload.warnings))
        return Response(body, media_type=MEDIA_TYPES.get(wish.format, "application/json"))

    described: dict[str, Any] = {
        "responses": {200: OPENAI_RESPONSE, **OPENAI_ERRORS},
        "openapi_extra": {"requestBody": OPENAI_BODY},
        "response_class": Response,
    }

    @router.post("/audio/transcriptions", summary="OpenAI's transcriptions", **described)
    async def transcriptions(request: Request) -> Response:
        return await answer(request, "transcribe")

    @router.post("/audio/translations", summary="OpenAI's translations into English", **described)
    async def translations(request: Request) -> Response:
        return await answer(request, "translate")

    model = {"id": _model_name(service.settings), "object": "model", "created": 0, "owned_by": "-"}

    @router.get("/models", responses={200: MODELS_RESPONSE, 401: OPENAI_ERRORS[401]})
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [model]}

    @router.get("/models/{name:path}", responses=MODEL_RESPONSES)
    async def one_model(name: str) -> dict[str, Any]:
        if name != model["id"]:
            raise HTTPException(404, f"there is no model {name!r} here, only {model['id']!r}")
        return model

    return router


class _Wish:
    """The form fields that are OpenAI's and not the core's."""

    def __init__(self, form: FormData, task: str) -> None:
        self._task, self._form = task, form
        self.format = _text(form, "response_format") or RESPONSE_FORMATS[0]
        self.stream = _text(form, "stream").lower() in ("true", "1")
        self._granularities = {
            str(value)
            for name in ("timestamp_granularities[]", "timestamp_granularities")
            for value in form.getlist(name)
        } or {"segment"}

    def check(self, settings: ServerSettings) -> Mapping[str, object]:
        """What the core is asked for.

        Raises:
            InvalidParameterError: a field has a value that OpenAI does not know either.
        """
        _one_of("response_format", self.format, RESPONSE_FORMATS)
        _one_of("stream", _text(self._form, "stream").lower(), ("true", "false", "1", "0", ""))
        for granularity in self._granularities:
            _one_of("timestamp_granularities", granularity, GRANULARITIES)
        _check_temperature(_text(self._form, "temperature"))
        if self.format == "diarized_json" and settings.diarization_model is None:
            raise InvalidParameterError(
                "response_format='diarized_json' needs a diarization model, and this deployment "
                "has none: set DIARIZATION_MODEL"
            )
        fields = InferenceConfig.model_fields
        known = {name: value for name, value in self._form.items() if name in fields}
        prompt = _text(self._form, "prompt")
        wishes = {
            "diarize": self.format == "diarized_json",
            "initial_prompt": prompt,
            "known_speakers": self._known_speakers(),
        }
        return {**wishes, **known, "task": self._task}

    def _known_speakers(self) -> list[dict[str, object]]:
        """OpenAI's two lists as one."""
        names, references = (
            self._form.getlist(f"known_speaker_{field}[]")
            + self._form.getlist(f"known_speaker_{field}")
            for field in ("names", "references")
        )
        if len(names) != len(references):
            raise InvalidParameterError(
                f"known_speaker_names has {len(names)} entries and known_speaker_references "
                f"{len(references)}: each name needs the recording of its voice"
            )
        return [{"name": n, "audio": a} for n, a in zip(names, references, strict=True)]

    def render(self, transcript: Transcript, warnings: tuple[str, ...]) -> bytes:
        """The answer in the format that was asked for."""
        if self.format == "text":
            return (to_text(transcript) + "\n").encode()
        if self.format in MEDIA_TYPES:
            return FORMATS[self.format][1](transcript, "recording").encode()
        content = self._json(transcript)
        if warnings := (*warnings, *transcript.warnings):
            content["warnings"] = list(warnings)
        return dumped(content)

    def _json(self, transcript: Transcript) -> dict[str, Any]:
        if self.format == "json":
            return {"text": to_text(transcript)}
        if self.format == "diarized_json":
            return {**to_diarized_json(transcript), "task": self._task}
        verbose = {**to_verbose_json(transcript), "task": self._task}
        for name in GRANULARITIES:
            if name not in self._granularities:
                del verbose[f"{name}s"]
        return verbose

    def last_events(self, transcript: Transcript) -> bytes:
        """What a stream ends with."""
        done = {"type": "transcript.text.done", "text": to_text(transcript)}
        if self.format != "diarized_json":
            return event(done)
        return b"".join(map(event, (*to_diarized_json(transcript)["segments"], done)))


def _stream(service: Service, request: Request, upload: Upload, wish: _Wish) -> EventStream:
    async def produce(emit: Emit) -> None:
        texts: list[str] = []

        def tell(progress: Progress) -> None:
            for segment in progress.segments:
                if delta := _delta(texts, segment):
                    emit(event({"type": "transcript.text.delta", "delta": delta}))

        emit(await service.transcribe(request, upload, wish.last_events, tell))

    return EventStream(produce, lambda error: event(error_body(request.url.path, error)))


def _delta(texts: list[str], segment: Segment) -> str:
    """What the segment adds to the text so far; deltas joined are `to_text` of the whole."""
    before = len(join_texts(texts))
    texts[:] = [join_texts((*texts, segment.text))]
    return texts[0][before:]


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        names = " or ".join(repr(choice) for choice in allowed if choice)
        raise InvalidParameterError(f"{name} must be {names}, not {value[:60]!r}")


def _check_temperature(value: str) -> None:
    try:
        allowed = not value or 0 <= float(value) <= 1
    except ValueError:
        allowed = False
    if not allowed:
        raise InvalidParameterError(f"temperature must be from 0 to 1, not {value[:60]!r}")


def _model_name(settings: ServerSettings) -> str:
    name = settings.asr_model
    return Path(name).name if Path(name).is_dir() else name
