"""JSON schemas of types, and the validation of untrusted data against types."""

from __future__ import annotations

import reprlib
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from asr_diarization.errors import InvalidParameterError

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made when it is needed: `import handler` needs none, and each takes milliseconds."""
    return TypeAdapter(kind)


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type, without references: each part stands where it is used."""
    schema = _adapter(kind).json_schema()
    parts = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).rpartition("/")[2]
        # The description of a field replaces that of its type.
        rest = {key: inline(item) for key, item in value.items() if key != "$ref"}
        return {**inline(parts[name]), **rest} if name else rest

    inlined: dict[str, Any] = inline(schema)
    # pydantic reads the descriptions that stand in the class itself, not those of its bases.
    for base in getattr(kind, "__orig_bases__", ()):
        if base is not TypedDict:
            inlined["properties"].update(schema_of(base)["properties"])
    return inlined


def validated(kind: type[T], data: object) -> T:
    """`data` as an object of type `kind`; fields that it does not declare are left out.

    Raises:
        InvalidParameterError: naming the first field that is missing or wrong.
    """
    hashable: Any = kind  # mypy takes no type for a cache's key
    try:
        valid: T = _adapter(hashable).validate_python(data)
    except ValidationError as error:
        raise InvalidParameterError(_complaint(error)) from None
    return valid


def _complaint(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
    name = "".join(steps).removeprefix(".") or "the body"
    if fault["type"] == "missing":
        return f"{name} is missing"
    allowed = fault["msg"].partition("should")[2]  # "Input should be a valid number"
    return f"{name} must{allowed}, not {reprlib.repr(fault['input'])}"
