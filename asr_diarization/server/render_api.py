"""`POST /render`: a transcript becomes a file in any format; needs no model and no queue."""

from __future__ import annotations

from typing import Annotated, Any, BinaryIO, NotRequired
from urllib.parse import quote

import anyio
import pydantic_core
from fastapi import APIRouter, Request, Response
from pydantic import Field, with_config
from typing_extensions import TypedDict

from asr_diarization.errors import (
    InvalidParameterError,
    InvalidRequestError,
    TranscriptTooLargeError,
)
from asr_diarization.formats.json import from_json
from asr_diarization.formats.openai_response import DiarizedJson, VerboseJson
from asr_diarization.formats.registry import FORMATS
from asr_diarization.formats.response import CONFIG, ResponseJson, TranscriptJson
from asr_diarization.formats.speakers import SeglstSegment
from asr_diarization.formats.validation import schema_of, validated
from asr_diarization.server.openapi import ERRORS
from asr_diarization.server.service import Service
from asr_diarization.server.settings import ServerSettings

DEFAULT_NAME = "recording"
BYTES_PER_SECOND = 2048
"""More than the JSON of a second has: six words of fast speech take 960 bytes when indented, and
two channels twice that."""
MIN_BYTES = 2**20
"""For everything whose size does not grow with the recording."""


@with_config(CONFIG)
class RenderRequest(TypedDict):
    """What to render."""

    transcript: TranscriptJson
    """The JSON that `POST /predict` answers, edited or not."""
    format: Annotated[str, Field(json_schema_extra={"enum": list(FORMATS)})]
    """One of the formats of the command line."""
    name: NotRequired[
        Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
    ]
    """Name of the recording without a suffix; the file is called so (default: `recording`)."""


_STATUSES = (401, 408, 413, 415, 422, 429, 500, 503)
_BODY: dict[str, Any] = {
    "required": True,
    "content": {"application/json": {"schema": schema_of(RenderRequest)}},
}
_JSON = {
    "anyOf": [
        schema_of(kind) for kind in (ResponseJson, VerboseJson, DiarizedJson, list[SeglstSegment])
    ]
}
_RESPONSE: dict[str, Any] = {
    "description": "The file; `Content-Disposition` has its name.",
    "content": {
        media_type: {"schema": _JSON if media_type == "application/json" else {"type": "string"}}
        for media_type in dict.fromkeys(format_.media_type for format_ in FORMATS.values())
    },
}


def render_routes(service: Service) -> APIRouter:
    """The route of this contract."""
    router = APIRouter(tags=["who said what"])
    max_bytes = max_transcript_bytes(service.settings)
    parsing = anyio.Lock()  # a body takes several times its size while it is parsed

    @router.post(
        "/render",
        summary="A transcript as a file in another format",
        responses={200: _RESPONSE, **{status: ERRORS[status] for status in _STATUSES}},
        openapi_extra={"requestBody": _BODY},
        response_class=Response,
    )
    async def render(request: Request) -> Response:
        too_large = TranscriptTooLargeError(
            f"the body is larger than the {max_bytes} bytes of JSON that this server renders "
            "(MAX_AUDIO_SECONDS, MAX_UPLOAD_BYTES)"
        )
        with await service.bodies.spool(request, max_bytes, too_large) as body:
            async with parsing:
                return await anyio.to_thread.run_sync(_render, body)

    return router


def max_transcript_bytes(settings: ServerSettings) -> int:
    """Size of the JSON of the longest recording that the settings allow."""
    longest = MIN_BYTES + BYTES_PER_SECOND * settings.max_audio_seconds
    return int(min(settings.max_upload_bytes, longest))


def _render(body: BinaryIO) -> Response:
    try:
        data = pydantic_core.from_json(body.read(), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequestError(f"the body is not JSON: {error}") from error
    request = validated(RenderRequest, data)
    if request["format"] not in FORMATS:
        names = " or ".join(map(repr, FORMATS))
        raise InvalidParameterError(f"format must be {names}, not {request['format'][:60]!r}")
    format_, name = FORMATS[request["format"]], request.get("name", DEFAULT_NAME)
    text = format_.write(from_json(request["transcript"]), name)
    headers = {"Content-Disposition": content_disposition(f"{name}.{format_.suffix}")}
    return Response(text.encode(), media_type=format_.media_type, headers=headers)


def content_disposition(file_name: str) -> str:
    """The header that names a file: in ASCII for curl, whole for browsers (RFC 6266)."""
    plain = "".join(c if c.isascii() and c not in '"\\/%;' else "_" for c in file_name)
    whole = quote(file_name.replace("/", "_").replace("\\", "_"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"
