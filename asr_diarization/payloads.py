"""Parsing: an untrusted request body -> the bytes of a recording and checked parameters.

Nothing here decodes audio or opens anything: a string is base64, or it is refused, even if it is a
path or an address. The caller's objects are never changed.
"""

from __future__ import annotations

import binascii
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from pydantic import ValidationError

from asr_diarization.config import MAX_KNOWN_SPEAKERS, InferenceConfig
from asr_diarization.errors import InvalidAudioError, InvalidParameterError, InvalidRequestError

HOW_TO_SEND = (
    "audio must be sent as bytes or as a base64 string (a data: URL is fine);"
    " paths and addresses are not opened"
)

MAX_WARNINGS = 20
"""Further unknown names are counted, not listed."""

LIST_PARAMETERS = ("languages", "keyterms")
"""Parameters that are lists of texts; as text: JSON, or separated by commas."""

_MIN_FILE_BYTES = 45
"""A WAV header and one byte of audio. Shorter valid base64 is a path or a word: `/etc/passwd`."""

_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request; its audio is not decoded yet."""

    audio: bytes = field(repr=False)
    parameters: InferenceConfig
    warnings: tuple[str, ...] = ()


def parse_payload(data: object, kind: type[InferenceConfig] = InferenceConfig) -> Request:
    """Read `{"inputs": audio, "parameters": {...}}`; `parameters` may be absent or None.

    `inputs` is bytes-like, a base64 string or a base64 data URL. Other keys are ignored, and named
    in the warnings.

    Raises:
        InvalidRequestError: `data` is no mapping, or has no `inputs`.
        InvalidAudioError: `inputs` is empty, or neither bytes nor base64.
        InvalidParameterError: as `parse_parameters`, or `parameters` is no mapping.
    """
    if not isinstance(data, Mapping):
        raise InvalidRequestError(
            'the request must be an object like {"inputs": "<base64 audio>", "parameters": {}},'
            f" not {_type_of(data)}"
        )
    if "inputs" not in data:
        hint = "; 'instances' is not read, send one recording" if "instances" in data else ""
        raise InvalidRequestError(f"the request has no 'inputs'{hint}; {HOW_TO_SEND}")
    parameters, warnings = parse_parameters(_as_mapping(data.get("parameters")), kind)
    other_keys = [name for name in data if name not in ("inputs", "parameters")]
    warnings = (*_warnings(other_keys, _warn_misplaced), *warnings)
    return Request(_decode_inputs(data["inputs"]), parameters, warnings)


def parse_parameters(
    raw: Mapping[str, object], kind: type[InferenceConfig] = InferenceConfig
) -> tuple[InferenceConfig, tuple[str, ...]]:
    """Check the caller's parameters; return them with warnings about those without effect.

    None and blank strings mean unset. Values may be strings, as in a query string.

    Args:
        raw: values by the names of the fields.
        kind: the class with the defaults of this deployment.

    Raises:
        InvalidParameterError: naming each field, its value and what is allowed, in one sentence.
    """
    fields = kind.model_fields
    given = {name: raw[name] for name in fields if not _is_unset(raw.get(name))}
    if "known_speakers" in given:
        given["known_speakers"] = _decode_known_speakers(given["known_speakers"])
    for name in given.keys() & LIST_PARAMETERS:
        given[name] = split_list(given[name])
    try:
        parameters = kind.model_validate(given)
    except ValidationError as error:
        # The cause would show the whole value in the log; the message shows its beginning.
        raise InvalidParameterError(_describe(error)) from None
    warnings = _warnings([name for name in raw if name not in fields], _warn_unknown)
    if parameters.sampling_rate != fields["sampling_rate"].default:
        warnings = (*warnings, "sampling_rate has no effect: the recording itself says its rate")
    return parameters, warnings


def gather_fields(fields: Iterable[tuple[str, object]]) -> dict[str, object]:
    """The fields of a form or a query string by name; of a repeated one, the last counts.

    Only lists of texts are gathered: `keyterms` and `keyterms[]` may be repeated.
    """
    gathered: dict[str, object] = {}
    lists: dict[str, list[object]] = {}
    for name, value in fields:
        if (plain := name.removesuffix("[]")) in LIST_PARAMETERS:
            items = split_list(value)
            lists.setdefault(plain, []).extend(items if isinstance(items, list) else [items])
        else:
            gathered[name] = value
    return {**gathered, **lists}


def split_list(value: object) -> object:
    """A list of texts that was sent as one text, JSON or separated by commas; others as they are.

    Blank items are left out.
    """
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return [item.strip() for item in value.split(",") if item.strip()]


def _as_mapping(parameters: object) -> Mapping[str, object]:
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise InvalidParameterError(
            f'parameters must be an object like {{"num_speakers": 2}}, not {_type_of(parameters)}'
        )
    return parameters


def _decode_known_speakers(value: object) -> object:
    """`known_speakers` with decoded audio; values of a wrong type are left to the validation.

    Raises:
        InvalidParameterError: the audio of one is not base64.
    """
    if isinstance(value, str):  # in a form or a query string, the list is JSON
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    if not isinstance(value, list) or len(value) > MAX_KNOWN_SPEAKERS:
        return value
    return [_decode_known_speaker(item) for item in value]


def _decode_known_speaker(item: object) -> object:
    if not isinstance(item, Mapping) or not isinstance(audio := item.get("audio"), str):
        return item
    where = f"known_speakers: the audio of {_show(item.get('name'))}"
    try:
        return {**item, "audio": _decode_base64(audio, where)}
    except InvalidAudioError as error:
        raise InvalidParameterError(str(error)) from error


def _decode_inputs(inputs: object) -> bytes:
    if isinstance(inputs, str):
        return _decode_base64(inputs, "'inputs'")
    if not isinstance(inputs, bytes | bytearray | memoryview):
        raise InvalidAudioError(f"'inputs' is {_type_of(inputs)}; {HOW_TO_SEND}")
    if not (audio := bytes(inputs)):
        raise InvalidAudioError("the audio is empty (0 bytes)")
    return audio


def _decode_base64(text: str, name: str) -> bytes:
    """The bytes of base64 in the standard or URL-safe alphabet, also without padding.

    Raises:
        InvalidAudioError: it is not base64, or too short for a recording; `name` is in the message.
    """
    encoded = _with_lost_plus(_without_data_url(text, name))
    try:
        # The text may have 100 MB: one pass.
        compact = encoded.encode("ascii").translate(_STANDARD_ALPHABET, b" \t\r\n\f\v").rstrip(b"=")
        audio = binascii.a2b_base64(compact + b"=" * (-len(compact) % 4), strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are ValueErrors
        raise InvalidAudioError(
            f"{name} is not valid base64 ({_base64_fault(encoded)}); {HOW_TO_SEND}"
        ) from error
    if not audio:
        raise InvalidAudioError(f"{name} is empty (0 bytes)")
    if len(audio) < _MIN_FILE_BYTES:
        raise InvalidAudioError(f"{name} is {_show(text)}, no recording; {HOW_TO_SEND}")
    return audio


def _without_data_url(text: str, name: str) -> str:
    start = text[:200].lstrip()
    if start[:5].lower() != "data:":
        return text
    # Browsers write parameters into the header: data:audio/webm;codecs=opus;base64,...
    header, comma, encoded = text.partition(",")
    if not comma or not header.replace(" ", "").lower().endswith(";base64"):
        raise InvalidAudioError(f"{name}: a data: URL must hold base64: data:audio/wav;base64,...")
    return encoded


def _with_lost_plus(encoded: str) -> str:
    """`encoded` with `+` for its blanks, if they were `+` before a form or a URL was decoded.

    All of them turn into blanks then, at any distance. Blanks beside a `+`, in the margin of every
    line, or between groups of one length are only blanks.
    """
    if " " not in encoded or "+" in encoded:
        return encoded
    lines = encoded.strip().splitlines()
    if all(line[:1].isspace() for line in lines[1:]):
        lines = [line.lstrip() for line in lines]
    if all(line[-1:].isspace() for line in lines[:-1]):
        lines = [line.rstrip() for line in lines]
    compact = "".join(lines)
    first, *others = map(len, compact.split(" "))
    if not others:
        return encoded
    is_grouped = all(length == first for length in others[:-1]) and 0 < others[-1] <= first
    is_whole, is_whole_without = (n % 4 == 0 for n in (len(compact), len(compact) - len(others)))
    if is_whole != is_whole_without and (compact.endswith("=") or len(others) == 1):
        is_grouped = is_whole_without
    return encoded if is_grouped else compact.replace(" ", "+")


def _base64_fault(encoded: str) -> str:
    if match := re.search(r"[^A-Za-z0-9+/_=\s-]", encoded):
        near = encoded[max(0, match.start() - 20) : match.start() + 20]
        return f"{match[0]!r} at position {match.start()}, in {near!r}"
    return f"{len(encoded)} characters; the end is missing, or '=' stands inside"


def _is_unset(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _warn_unknown(name: object) -> str:
    text = str(name)[:60]
    close = get_close_matches(text.lower(), InferenceConfig.model_fields, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"unknown parameter {text!r} was ignored{hint}"


def _warn_misplaced(name: object) -> str:
    hint = "; put it inside 'parameters'" if name in InferenceConfig.model_fields else ""
    return f"{_show(name)} beside 'inputs' was ignored{hint}"


def _warnings(names: Sequence[object], warn: Callable[[object], str]) -> tuple[str, ...]:
    """A warning for each of the first names, and one with the number of the others."""
    warnings = tuple(warn(name) for name in names[:MAX_WARNINGS])
    more = len(names) - len(warnings)
    return (*warnings, f"{more} more names were ignored") if more else warnings


def _describe(error: ValidationError) -> str:
    """All faults in one sentence."""
    faults: dict[str, str] = {}
    for fault in error.errors(include_url=False):
        if fault["loc"]:
            name = str(fault["loc"][0])
            text = f"{name} must be {_allowed(name)}, not {_show(fault['input'])}"
            faults.setdefault(name, text)
        else:
            faults[""] = str(fault["ctx"]["error"])
    return "; ".join(faults.values())


def _allowed(name: str) -> str:
    """The values `InferenceConfig` accepts for a field, in words: "an integer from 1 to 256"."""
    schema = InferenceConfig.model_json_schema()["properties"][name]
    # The schema of an optional field is "this or null"; null means unset and is not mentioned.
    schema = next((s for s in schema.get("anyOf", ()) if s["type"] != "null"), schema)
    if schema["type"] == "array":
        item = schema["items"]
        if length := item.get("maxLength"):
            return f"a list of at most {schema['maxItems']} texts of 1 to {length} characters"
        return f"a list of at most {schema['maxItems']} objects with 'name' and 'audio'"
    if "enum" in schema:
        return " or ".join(repr(value) for value in schema["enum"])
    if schema["type"] == "boolean":
        return "true or false"
    if schema["type"] == "string":
        return f"text of at most {schema['maxLength']} characters"
    noun = "an integer" if schema["type"] == "integer" else "a number"
    return f"{noun} from {schema['minimum']:g} to {schema['maximum']:g}"


def _type_of(value: object) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def _show(value: object) -> str:
    """A value, shortened for a message; Python refuses to print integers of 4300 digits."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of that size"
    return reprlib.repr(value)
