"""QuickTime files made by hand, because no encoder writes the ones that do harm."""

from __future__ import annotations

import struct


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind, *parts):
    return box(kind, bytes(4), *parts)


def movie(reference, samples, *, sample_ticks=1, edits=b""):
    """A QuickTime file of `samples` 16-bit samples; `reference` is the box that says where.

    `edits` is the box with the edit list. Of samples that last two ticks, each gets an entry of
    its own in an index; of those that last one, each chunk.
    """
    entry = bytes(6) + b"\0\1" + bytes(8) + struct.pack(">HHHHI", 1, 16, 0, 0, 16000 << 16)
    table = box(
        b"stbl",
        full_box(b"stsd", struct.pack(">I", 1), box(b"sowt", entry)),
        full_box(b"stts", struct.pack(">III", 1, samples, sample_ticks)),
        full_box(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        full_box(b"stsz", struct.pack(">II", 2, samples)),
        full_box(b"stco", struct.pack(">II", 1, 44)),
    )
    where = box(b"dinf", full_box(b"dref", struct.pack(">I", 1), reference))
    media = box(
        b"mdia",
        full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, 16000, samples, 0, 0)),
        full_box(b"hdlr", bytes(4) + b"soun" + bytes(13)),
        box(b"minf", full_box(b"smhd", bytes(4)), where, table),
    )
    track = box(b"tkhd", b"\0\0\0\7", struct.pack(">IIIII", 0, 0, 1, 0, samples), bytes(60))
    head = full_box(b"mvhd", struct.pack(">IIII", 0, 0, 1000, 1000), bytes(80))
    return box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"moov", head, box(b"trak", track, edits, media))


def alias(path):
    """A data reference to another file, as QuickTime's "not self-contained" movies have."""
    name = path.name.encode()
    target = str(path).encode()
    body = bytes(10) + b"\1" + b"v".ljust(27, b"\0") + bytes(12)
    body += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    body += struct.pack(">hh", 1, 1) + bytes(16)
    body += struct.pack(">HH", 2, len(target)) + target + bytes(len(target) % 2)
    return box(b"alis", bytes(4), body, struct.pack(">HH", 0xFFFF, 0))


HERE = box(b"url ", b"\0\0\0\1")
"""The reference of every ordinary movie: the samples are in this very file."""


def replays(edits, seconds):
    """An edit list that plays the same beginning again and again."""
    entry = struct.pack(">IiI", round(1000 * seconds), 0, 1 << 16)
    return box(b"edts", full_box(b"elst", struct.pack(">I", edits), entry * edits))
