"""Headers read by hand: what FFmpeg would be too generous with, or does not tell.

Nothing here decides whether a file is audio; a header that makes no sense is left to FFmpeg.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_EDITED_SAMPLES = 5_000_000
"""Entries of FFmpeg's index: edits times samples, some 40 bytes each. Four hours of AAC have
620,000 samples and one or two edits."""
_FEW_EDITS = 4
_MAX_HEADER_BYTES = 64 << 20
"""Of a QuickTime file, its samples left out. The index of four hours has 5 MB."""
_RAW_SAMPLES = (b"mdat", b"free", b"skip", b"wide")
_TRAILING_CHUNKS = re.compile(rb"[A-Za-z0-9_ ]{4}")
_MIN_UNDECLARED_SECONDS = 0.5


def has_too_many_edits(file: BinaryIO) -> bool:
    """Whether an MP4 or QuickTime file's edit list would replay it too often to be followed.

    FFmpeg writes every sample of every edit into an index, so a file of 200 KB can take gigabytes.
    """
    edits = samples = 0
    for header in _quicktime_headers(file):
        for match in re.finditer(rb"elst", header):
            edits += _count_at(header, match.end() + 4, 12)
        for match in re.finditer(rb"stsz|stz2", header):
            count = header[match.end() + 8 : match.end() + 12]
            samples = max(samples, int.from_bytes(count, "big"))
        for match in re.finditer(rb"trun", header):
            samples += int.from_bytes(header[match.end() + 4 : match.end() + 8], "big")
    return edits > _FEW_EDITS and edits * max(samples, 1) > MAX_EDITED_SAMPLES


def _count_at(header: bytes, at: int, entry_bytes: int) -> int:
    """A number of entries, which must lie inside the header."""
    declared = int.from_bytes(header[at : at + 4], "big")
    return min(declared, (len(header) - at) // entry_bytes)


def _quicktime_headers(file: BinaryIO) -> Iterator[bytes]:
    """The bodies of a QuickTime file's outermost boxes, but for those with samples."""
    file.seek(0)
    if file.read(12)[4:8] not in (b"ftyp", b"moov", b"wide", b"mdat", b"free", b"skip", b"pnot"):
        file.seek(0)
        return
    position, left = 0, _MAX_HEADER_BYTES
    while left > 0:
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            break
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if kind not in _RAW_SAMPLES:
            file.seek(position)
            body = file.read(min(size or left, left))
            left -= len(body)
            yield body
        if size < 8:
            break
        position += size
    file.seek(0)


def undeclared_seconds(file: BinaryIO) -> float:
    """Seconds of sound at the end of a WAV file that its header does not declare; mostly 0.0."""
    file.seek(0)
    head = file.read(12)
    end = file.seek(0, 2)
    bytes_per_second, position, is_past_data = 0, 12, False
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        while position + 8 <= end:
            file.seek(position)
            kind, size = struct.unpack("<4sI", file.read(8))
            if is_past_data and (kind == b"RIFF" or not _TRAILING_CHUNKS.fullmatch(kind)):
                break
            if kind == b"fmt ":
                bytes_per_second = int.from_bytes(file.read(12)[8:12], "little")
            is_past_data |= kind == b"data"
            if kind == b"data" and size in (0, 0xFFFFFFFF):  # written as a stream: all is read
                position = end
            position += 8 + size + size % 2
    file.seek(0)
    if not is_past_data or not bytes_per_second:
        return 0.0
    seconds = (end - position) / bytes_per_second
    return seconds if seconds > _MIN_UNDECLARED_SECONDS else 0.0
