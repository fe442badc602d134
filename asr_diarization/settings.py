"""The operator's settings as they are read: from the environment, or refused in one sentence."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from asr_diarization.errors import ModelLoadError
from config import ModelSettings

Settings = TypeVar("Settings", bound=ModelSettings)
DEVICES = "auto, cpu, mps, cuda or cuda:N"
"""What the pattern of `ModelSettings.device` means."""


def read_settings(kind: type[Settings], given: Mapping[str, Any] | None = None) -> Settings:
    """Settings of the environment, under those that are `given`.

    Raises:
        ModelLoadError: a variable has a value that is not allowed; each is named.
    """
    try:
        return kind(**(given or {}))
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # The last line of a log is the last error: there must be no other behind it.
        raise ModelLoadError("; ".join(map(_complaint, faults))) from None


def _complaint(fault: Any) -> str:
    name = str(fault["loc"][0]).upper()
    is_secret = "KEY" in name or "TOKEN" in name
    value = "that" if is_secret else reprlib.repr(fault["input"])
    if fault["type"] == "string_pattern_mismatch":
        return f"{name} must be {DEVICES}, not {value}"
    if fault["type"] == "literal_error":
        return f"{name} must be {fault['ctx']['expected']}, not {value}"
    return f"{name} {fault['msg'].replace('Input should be', 'must be')}, not {value}"
