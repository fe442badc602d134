"""The description at `/openapi.json` and `/docs`, where FastAPI cannot tell it from signatures."""

from __future__ import annotations

from html import escape
from typing import Any

from asr_diarization.config import InferenceConfig
from asr_diarization.formats.openai_response import DiarizedJson, TextJson, VerboseJson
from asr_diarization.formats.response import ResponseJson
from asr_diarization.formats.validation import schema_of
from asr_diarization.server.error_responses import ErrorJson, OpenAIErrorJson
from asr_diarization.server.openai_form import GRANULARITIES, RESPONSE_FORMATS

_AUDIO = {"type": "string", "format": "binary", "description": "A recording, any format."}


def _parameters() -> dict[str, Any]:
    properties: dict[str, Any] = schema_of(InferenceConfig)["properties"]
    return properties


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def _json(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_TEXT = {"type": "string"}
_REASONS = {
    401: "a key is needed, or it is not known",
    408: "the upload came too slowly",
    413: "too long, or too large",
    415: "not audio",
    422: "a parameter, or the request itself",
    429: "all places are taken; `Retry-After` says when to come back",
    500: "our fault",
    503: "out of memory, no room for uploads, or shutting down",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    s: _json(schema_of(ErrorJson), why) for s, why in _REASONS.items()
}
OPENAI_ERRORS: dict[int | str, dict[str, Any]] = {
    status: _json(schema_of(OpenAIErrorJson), why) for status, why in _REASONS.items()
}

PREDICT_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in _parameters().items()
]
PREDICT_BODY = {
    "required": True,
    "description": "One recording; parameters go beside it or into the query string.",
    "content": {
        "multipart/form-data": {
            "schema": _object(
                {
                    "file": _AUDIO,
                    "parameters": {
                        **_TEXT,
                        "description": "A JSON object; or fields of their own.",
                    },
                },
                ["file"],
            )
        },
        "application/json": {
            "schema": _object(
                {
                    "inputs": {**_TEXT, "description": "The recording as base64, or a data: URL."},
                    "parameters": _object(_parameters()),
                },
                ["inputs"],
            )
        },
        "audio/*": {"schema": _AUDIO},
        "application/octet-stream": {"schema": _AUDIO},
    },
}
PREDICT_RESPONSE = {
    "description": (
        "The transcript; with `Accept: text/event-stream`, events: `waveform` (duration and "
        "peaks), `progress`, `segment`, and last `transcript`, with the same, or `error`."
    ),
    "content": {
        "application/json": {"schema": schema_of(ResponseJson)},
        "text/event-stream": {"schema": _TEXT},
    },
}

OPENAI_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": _object(
                {
                    "file": _AUDIO,
                    "model": {**_TEXT, "description": "Anything; there is one model."},
                    "language": _TEXT,
                    "prompt": _TEXT,
                    "keywords[]": {"type": "array", "items": _TEXT},
                    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
                    "response_format": {
                        **_TEXT,
                        "enum": list(RESPONSE_FORMATS),
                    },
                    "timestamp_granularities[]": {
                        "type": "array",
                        "items": {**_TEXT, "enum": list(GRANULARITIES)},
                    },
                    "stream": {"type": "boolean"},
                },
                ["file"],
            )
        }
    },
}
OPENAI_RESPONSE = {
    "description": "In the format that was asked for.",
    "content": {
        "application/json": {
            "schema": {"anyOf": [schema_of(kind) for kind in (VerboseJson, DiarizedJson, TextJson)]}
        },
        "text/plain": {"schema": _TEXT},
        "application/x-subrip": {"schema": _TEXT},
        "text/vtt": {"schema": _TEXT},
        "text/event-stream": {"schema": _TEXT},
    },
}
_MODEL = _object({"id": _TEXT, "object": _TEXT, "created": {"type": "integer"}, "owned_by": _TEXT})
MODEL_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _json(_MODEL, "The one model."),
    401: OPENAI_ERRORS[401],
    404: _json(schema_of(OpenAIErrorJson), "There is no model of that name."),
}
MODELS_RESPONSE = _json(_object({"object": _TEXT, "data": {"type": "array"}}), "The one model.")


def docs_page(document: dict[str, Any]) -> str:
    """The API as one HTML page that loads no other file."""
    parts = []
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts.append(f"<p>{escape(route.get('summary', ''))}</p>")
            bodies = route.get("requestBody", {}).get("content", {})
            parts += [_table(kind, body["schema"]) for kind, body in bodies.items()]
            rows = "".join(
                f"<tr><td>{status}<td>{escape(answer['description'])}"
                for status, answer in route["responses"].items()
            )
            parts.append(f"<table><caption>answers</caption>{rows}</table>")
    parameters = _table("parameters", _object(_parameters()))
    title = escape(document["info"]["title"])
    about = escape(document["info"].get("description", ""))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>body{font:16px/1.5 sans-serif;'
        "max-width:60em;margin:2em auto;padding:0 1em;color-scheme:light dark}td{padding:0 1em 0 0;"
        "vertical-align:top}caption{text-align:left;font-weight:bold}table{margin:0 0 1em}</style>"
        f'<h1>{title}</h1><p>{about}</p><p>As a schema: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(parts)}<h2>Parameters of a request</h2>{parameters}"
    )


def _table(caption: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(field.get('description', ''))}"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table><caption>{escape(caption)}</caption>{rows}</table>"
