"""What a file that is no audio looks like, by its first bytes."""

from __future__ import annotations

_SIGNATURES = (
    (0, b"RIFF", "a WAV or AVI file, but its header is broken"),
    (4, b"ftyp", "an MP4 or M4A file, but its index (moov) is missing: was the upload cut short?"),
    (0, b"fLaC", "a FLAC file, but its header is broken"),
    (0, b"OggS", "an Ogg file, but its header is broken"),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file, but its header is broken"),
    (0, b"ID3", "an MP3 file, but no audio follows its tags"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"#EXTM3U", "a playlist; send the recording itself"),
    (0, b"ffconcat", "a playlist; send the recording itself"),
)


def first_look(head: bytes) -> str:
    """What the first bytes of a file look like, for a caller who sent the wrong thing."""
    for offset, signature, name in _SIGNATURES:
        if head.startswith(signature, offset):
            return f"it begins like {name}"
    if head.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return f"it begins like text, {head.decode()!r}"
    return f"it begins with the bytes {head[:8].hex(' ')}"
