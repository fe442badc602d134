"""Headers read by hand: what FFmpeg would be too generous with, or does not tell.

Nothing here decides whether a file is audio; a header that makes no sense is left to FFmpeg.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

MAX_EDITED_SAMPLES = 5_000_000
"""Entries of FFmpeg's index: edits times samples, some 40 bytes each. Four hours of AAC have
620,000 samples and one or two edits."""
_FEW_EDITS = 4
_MAX_HEADER_BYTES = 64 << 20
"""Of a QuickTime file, its samples left out. The index of four hours has 5 MB."""
_RAW_SAMPLES = (b"mdat", b"free", b"skip", b"wide")
_MAX_CHUNKS = 1000
"""Of a WAV file. Broadcast ones have a dozen."""
_FIRST_BOXES = (b"ftyp", b"moov", b"pnot", *_RAW_SAMPLES)
_BOX_HEADER_BYTES = 8
_ONE = b"\0\0\0\1"
_TRAILING_CHUNKS = re.compile(rb"[A-Za-z0-9_ ]{4}")
_MIN_UNDECLARED_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class QuickTimeIndex:
    """How much an MP4 or QuickTime file makes FFmpeg write into its index."""

    edits: int = 0
    """Entries of all edit lists."""
    samples: int = 0
    """The most that one track declares."""
    unbacked_samples: int = 0
    """The same, of tracks with more samples than the file has bytes. FFmpeg needs one entry for a
    whole chunk if samples last one tick, as in PCM: those are not counted."""

    @property
    def has_too_many_edits(self) -> bool:
        """Whether edit lists replay the file too often to be followed.

        FFmpeg writes every sample of every edit, so a file of 200 KB can take gigabytes.
        """
        return self.edits > _FEW_EDITS and self.edits * self.samples > MAX_EDITED_SAMPLES


def quicktime_index(file: BinaryIO) -> QuickTimeIndex:
    """What the headers of a QuickTime file declare; nothing for any other file."""
    file_bytes = file.seek(0, 2)
    edits = samples = unbacked = 0
    for header in _tracks(file):
        for match in re.finditer(rb"elst", header):
            edits += min(_number(header, match.end() + 4), (len(header) - match.end()) // 12)
        declared = sum(_number(header, m.end() + 8) for m in re.finditer(rb"stsz|stz2", header))
        declared += sum(_number(header, m.end() + 4) for m in re.finditer(rb"trun", header))
        samples = max(samples, declared)
        times = [header[m.end() + 4 : m.end() + 16] for m in re.finditer(rb"stts", header)]
        is_pcm = times and all(t[:4] == t[8:] == _ONE for t in times)
        if declared > max(file_bytes, MAX_EDITED_SAMPLES) and not is_pcm:
            unbacked = max(unbacked, declared)
    return QuickTimeIndex(edits, samples, unbacked)


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")


def _tracks(file: BinaryIO) -> Iterator[bytes]:
    """The headers of each track, and of each fragment.

    Others may hold pictures, in which every word occurs by chance.
    """
    for box in _quicktime_headers(file):
        for match in re.finditer(rb"cmvd", box):  # a compressed moov
            with suppress(zlib.error):
                packed = box[match.end() + 4 :]
                yield zlib.decompressobj().decompress(packed, _MAX_HEADER_BYTES)
        if box[4:8] != b"moov":
            yield box
            continue
        start = 8
        while start + 8 <= len(box):
            size = _number(box, start)
            child = box[start : start + size if size >= _BOX_HEADER_BYTES else None]
            if b"trak" in child:
                yield child
            start += len(child)


def _quicktime_headers(file: BinaryIO) -> Iterator[bytes]:
    """A QuickTime file's outermost boxes, but for those with samples."""
    file.seek(0)
    is_quicktime = file.read(12)[4:8] in _FIRST_BOXES
    position, left = 0, _MAX_HEADER_BYTES
    while is_quicktime and left > 0:
        file.seek(position)
        head = file.read(16)
        if len(head) < _BOX_HEADER_BYTES:
            break
        size, kind = _number(head, 0), head[4:8]
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if kind not in _RAW_SAMPLES:
            file.seek(position)
            box = file.read(min(size or left, left))
            left -= len(box)
            yield box
        if size < _BOX_HEADER_BYTES:
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
        for _ in range(_MAX_CHUNKS):
            if position + _BOX_HEADER_BYTES > end:
                break
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
