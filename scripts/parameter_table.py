"""Tables of parameters, settings and response fields in the documents, made from the code.

    python scripts/parameter_table.py --check              fails when a document is out of date
    python scripts/parameter_table.py --update             rewrites the text between the marks

Documents are those in `DOCUMENTS`; their marks are `<!-- name -->`, each closed by `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parent.parent))

from pydantic import BaseModel

from asr_diarization.config import InferenceConfig, ModelSettings
from asr_diarization.formats.response import ResponseJson, SegmentEventJson
from asr_diarization.formats.validation import schema_of
from asr_diarization.payloads import LIST_PARAMETERS

ROOT = Path(__file__).parent.parent
EXAMPLES: dict[str, Any] = {
    "task": "translate",
    "language": "fr",
    "languages": ["en", "es"],
    "initial_prompt": "A call between Diane and Sheila.",
    "keyterms": ["Delmonico", "PyTorch"],
    "batch_size": 8,
    "chunk_length_s": 12.5,
    "assisted": True,
    "diarize": False,
    "num_speakers": 2,
    "min_speakers": 2,
    "max_speakers": 5,
    "channels": "separate",
    "audio_track": 2,
    "known_speakers": [{"name": "Ann", "audio": "UklGRiQ..."}],
    "return_embeddings": True,
    "sampling_rate": 8000,
}
"""One allowed value of every parameter, other than its default."""
VALUES = {
    "asr_model": "openai/whisper-large-v3",
    "assistant_model": "distil-whisper/distil-large-v3",
    "diarization_model": "pyannote/speaker-diarization-3.1",
    "hf_token": "hf_...",
    "device": "cuda:1",
    "precision": "float16",
    "capture_steps": "true",
    "max_audio_seconds": "7200",
}
"""One allowed value of every setting."""


def table(model: type[BaseModel], *, variables: bool) -> str:
    """A Markdown table of the fields of `model`, by name or by environment variable."""
    rows = ["| name | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        shown = name.upper() if variables else name
        default = "" if field.default in (None, ()) else f"`{_written(field.default)}`"
        meaning = _meaning(model, name).replace("|", "\\|")
        rows.append(f"| `{shown}` | {default} | {meaning} |")
    return "\n".join(rows)


def parameter_details() -> str:
    """A section for every parameter of a request: type, bounds, and its spellings."""
    missing = set(InferenceConfig.model_fields) ^ set(EXAMPLES)
    if missing:
        raise ValueError(f"EXAMPLES and InferenceConfig differ in {', '.join(sorted(missing))}")
    sections = []
    for name, value in EXAMPLES.items():
        given = [{**v, "audio": b"RIFF"} for v in value] if name == "known_speakers" else value
        if InferenceConfig.model_validate({name: given}) == InferenceConfig():
            raise ValueError(f"the example of {name} is its default")
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            option = option if value else f"--no-{option[2:]}"
        elif name == "known_speakers":
            option += " Ann=ann.wav"
        elif name in LIST_PARAMETERS:
            option += f" {shlex.quote(','.join(value))}"
        else:
            option += f" {json.dumps(value) if ' ' in str(value) else value}"
        query = _query(name, value)
        sections += [
            *_section(InferenceConfig, name, name),
            f"- in JSON: `{json.dumps({name: value})}`",
            f"- in a query string: `?{query}`",
            f"- on the command line: `{option}`",
            "",
        ]
    return "\n".join(sections).rstrip()


def _query(name: str, value: object) -> str:
    """The parameter in a query string."""
    if isinstance(value, list):
        is_plain = name in LIST_PARAMETERS
        return urlencode(
            {name: ",".join(value) if is_plain else json.dumps(value)}, safe="," if is_plain else ""
        )
    return urlencode({name: _written(value)})


def setting_details() -> str:
    """A section for every environment variable."""
    missing = set(ModelSettings.model_fields) ^ set(VALUES)
    if missing:
        raise ValueError(f"VALUES and ModelSettings differ in {', '.join(sorted(missing))}")
    sections = []
    for name, value in VALUES.items():
        ModelSettings(**{name: value})
        shown = name.upper()
        sections += [*_section(ModelSettings, name, shown), f"- example: `{shown}={value}`", ""]
    return "\n".join(sections).rstrip()


def _section(model: type[BaseModel], name: str, shown: str) -> list[str]:
    default = model.model_fields[name].default
    schema = model.model_json_schema()["properties"][name]
    return [
        f"### `{shown}`",
        "",
        _meaning(model, name),
        "",
        f"- type: {_type(schema)}",
        f"- default: {'none' if default in (None, ()) else f'`{_written(default)}`'}",
    ]


def _type(schema: dict[str, Any]) -> str:
    """A JSON schema's type and bounds in words."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    schema = {**schema, **kinds[0]}
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = {"number": "number", "integer": "whole number", "boolean": "`true` or `false`"}.get(
        schema["type"], {"array": "list"}.get(schema["type"], "text")
    )
    bounds = {
        "minimum": "at least {:g}", "exclusiveMinimum": "more than {:g}", "maximum": "at most {:g}",
        "maxLength": "at most {} characters", "maxItems": "at most {} items",
        "pattern": "matching `{}`",
    }  # fmt: skip
    limits = [text.format(schema[bound]) for bound, text in bounds.items() if bound in schema]
    return ", ".join([kind, *limits])


def _meaning(model: type[BaseModel], name: str) -> str:
    return " ".join((model.model_fields[name].description or "").split())


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def response_fields(kind: Any) -> str:
    """A table of a type's fields, and one for each object inside it."""
    schema = schema_of(kind)
    tables = [_field_table(schema)]
    for name, field in schema["properties"].items():
        items = field.get("items", field)
        if "properties" in items:
            of = f"each of `{name}`" if field["type"] == "array" else f"`{name}`"
            tables += ["", f"The fields of {of}:", "", _field_table(items)]
            tables += _inner_tables(name, items)
    return "\n".join(tables)


def _inner_tables(name: str, schema: dict[str, Any]) -> list[str]:
    tables = []
    for inner, field in schema["properties"].items():
        if "properties" in field:
            tables += ["", f"The fields of `{name}.{inner}`:", "", _field_table(field)]
    return tables


def _field_table(schema: dict[str, Any]) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        meaning = " ".join(field["description"].split())
        rows.append(f"| `{name}` | {_field_type(field)} | {meaning} |")
    return "\n".join(rows)


def _field_type(schema: dict[str, Any]) -> str:
    """A JSON schema's type in words."""
    if "anyOf" in schema:
        return " or ".join(_field_type(one) for one in schema["anyOf"])
    if schema["type"] == "array":
        return f"list of {_field_type(schema['items'])}s"
    if isinstance(values := schema.get("additionalProperties"), dict):
        return f"object: name to {_field_type(values)}"
    names = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}
    return names.get(schema["type"], schema["type"])


DOCUMENTS: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {
        "parameters": lambda: table(InferenceConfig, variables=False),
        "settings": lambda: table(ModelSettings, variables=True),
    },
    "docs/parameters.md": {"parameters": parameter_details, "settings": setting_details},
    "docs/response.md": {
        "response": lambda: response_fields(ResponseJson),
        "segment": lambda: response_fields(SegmentEventJson),
    },
}


def filled(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """`text` with the generated parts between its marks.

    Raises:
        ValueError: a mark or an example is missing.
    """
    for mark, write in parts.items():
        pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"no <!-- {mark} --> ... <!-- end --> found")
        lines = write()
        text = pattern.sub(lambda match, lines=lines: f"{match[1]}\n{lines}\n\n{match[2]}", text)
    return text


def main(verb: str) -> str | int:
    """Check or update the documents; returns the exit code or an error message."""
    for name, parts in DOCUMENTS.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        try:
            after = filled(before, parts)
        except ValueError as error:
            return f"{name}: {error}"
        if verb == "--update":
            path.write_text(after, encoding="utf-8")
        elif after != before:
            return f"{name} is out of date: run python scripts/parameter_table.py --update"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
