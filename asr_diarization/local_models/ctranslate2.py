"""Reads CTranslate2's `model.bin`, a file of named arrays, without CTranslate2.

Little-endian throughout, version 6 of the format:

    u32 version, string specification, u32 revision,
    u32 count, then per array: string name, u8 rank, u32 x rank shape, u8 type, u32 bytes, data,
    u32 count, then per alias: string alias, string name.

A string is a u16 length, which counts the final NUL, and its bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_diarization.errors import ModelLoadError

VERSION = 6
TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""The file refers to a type by its index here."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The content of one `model.bin`."""

    specification: str
    """The kind of model, such as `WhisperSpec`."""
    arrays: dict[str, NDArray[np.generic]]
    """Read-only arrays by name, without the aliases."""
    aliases: dict[str, str]
    """Names of arrays by alias."""


def read_model_file(path: Path) -> ModelFile:
    """The arrays of a CTranslate2 file; they are views of one buffer.

    Raises:
        ModelLoadError: the file is truncated, has bytes after its end, or has another format.
    """
    reader = _Reader(path.read_bytes())
    try:
        model = _read(reader)
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise ModelLoadError(f"{path} is not a complete CTranslate2 model: {error}") from error
    if reader.left:
        raise ModelLoadError(f"{path} has {reader.left} bytes after its end")
    return model


def _read(reader: _Reader) -> ModelFile:
    version = reader.number("I")
    if version != VERSION:
        raise ValueError(f"version {version}, expected {VERSION}")
    specification = reader.string()
    reader.number("I")  # the revision of the specification: Whisper's names are the same in all
    arrays = dict(_read_array(reader) for _ in range(reader.number("I")))
    aliases = {reader.string(): reader.string() for _ in range(reader.number("I"))}
    return ModelFile(specification, arrays, aliases)


def _read_array(reader: _Reader) -> tuple[str, NDArray[np.generic]]:
    name = reader.string()
    shape = tuple(reader.number("I") for _ in range(reader.number("B")))
    kind = TYPES[reader.number("B")]
    data = reader.bytes(reader.number("I"))
    return name, np.frombuffer(data, dtype=kind).reshape(shape)


class _Reader:
    """A position in a buffer; reading past the end is an error."""

    def __init__(self, buffer: bytes) -> None:
        self._buffer = memoryview(buffer)
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._buffer) - self._position

    def bytes(self, count: int) -> memoryview:
        if count > self.left:
            raise ValueError(f"{count} bytes expected, {self.left} left")
        start, self._position = self._position, self._position + count
        return self._buffer[start : self._position]

    def number(self, code: str) -> int:
        layout = struct.Struct("<" + code)
        return int(layout.unpack(self.bytes(layout.size))[0])

    def string(self) -> str:
        return bytes(self.bytes(self.number("H"))).rstrip(b"\0").decode()
