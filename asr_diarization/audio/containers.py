"""Untrusted bytes -> an open container and one of its audio tracks.

FFmpeg may use only the formats and codecs listed here, and may open no second file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import av
import av.error
from av.stream import Disposition

from asr_diarization.audio.headers import quicktime_index
from asr_diarization.errors import (
    AudioTooLongError,
    InvalidAudioError,
    InvalidParameterError,
    OutOfMemoryError,
    one_line,
)

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

FORMATS = (
    "3gp", "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "flac", "flv",
    "matroska", "mov", "mp3", "mpeg", "mpegts", "mxf", "nistsphere", "ogg", "tta", "voc", "w64",
    "wav", "wv",
)  # fmt: skip
"""FFmpeg's demuxers for usual recordings. None of them opens a second file by design; playlists and
scripts (hls, concat, dash, sdp, image2) are absent on purpose."""

CODECS = (
    "aac", "aac_latm", "ac3", "adpcm_g722", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms",
    "adpcm_swf", "adpcm_yamaha", "alac", "amrnb", "amrwb", "ape", "dca", "eac3", "flac", "g722",
    "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "libopencore_amrnb",
    "libopencore_amrwb", "libopus", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float",
    "nellymoser", "opus", "qcelp", "qdm2", "shorten", "speex", "truespeech", "tta", "vorbis",
    "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice",
    *sorted(name for name in av.codecs_available if name.startswith("pcm_")),
)  # fmt: skip
"""Decoders that may run. Video decoders may not, not even for a cover picture."""

_MAX_FRAME_SAMPLES = 1_000_000
"""A codec frame holds at most some 200,000 samples (TTA, one second at 192 kHz)."""

_PROBE_BYTES, _BROADCAST_PROBE_BYTES = 500_000, 2_000_000
"""FFmpeg keeps all packets of its first look in memory, 80 bytes for each byte of damaged AAC. Only
streams without an index, with pictures among the sound, need a longer look."""

_BROADCAST_MAGIC = (b"\x47", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV")

_OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "codec_whitelist": ",".join(CODECS),
    # Empty: not even `file` and `data`, so no header can make FFmpeg open a path or an address.
    "protocol_whitelist": "",
}

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

# PyAV raises some of these besides its own errors if a header makes no sense.
_DECODING_ERRORS = (av.error.FFmpegError, ValueError, LookupError, ArithmeticError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Track:
    """An audio track, as the headers declare it."""

    number: int
    """Counted from 1, pictures left out."""
    codec: str
    channels: int
    """0 if the headers declare none."""
    title: str
    """Its name, else its language; may be empty."""
    is_readable: bool
    """Whether its codec is listed."""

    def __str__(self) -> str:
        return f"{self.number} ({', '.join(filter(None, (self.title, self.codec)))})"


@contextmanager
def open_audio(
    file: BinaryIO, track: int | None = None
) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The container and the stream to decode; errors in the `with` block are the file's fault.

    Args:
        file: seekable, at its beginning.
        track: its number, counted from 1; None for the one that a player would choose.

    Raises:
        InvalidAudioError: `file` is empty, is no audio, or decoding it fails.
        InvalidParameterError: it has no such track.
        OutOfMemoryError: this machine cannot hold the decoded audio.
    """
    with (
        _open(file) as container,
        _as_invalid_audio(
            f"this {format_of(container)} file is damaged, or of a kind that FFmpeg cannot convert"
        ),
    ):
        yield container, _audio_stream(container, track)


def list_tracks(file: BinaryIO) -> tuple[Track, ...]:
    """The audio tracks that the headers declare, the one that a player would choose first.

    Raises:
        InvalidAudioError: as `open_audio`.
    """
    with open_audio(file) as (container, preferred):
        tracks = [
            (stream is not preferred, _track(number, stream))
            for number, stream in enumerate(container.streams.audio, 1)
        ]
        return tuple(track for _, track in sorted(tracks, key=lambda pair: pair[0]))


def _track(number: int, stream: AudioStream) -> Track:
    decoder = _decoder(stream)
    language = stream.metadata.get("language", "")
    title = stream.metadata.get("title") or ("" if language == "und" else language)
    return Track(
        number,
        decoder or "unknown",
        stream.codec_context.channels if stream.codec_context else 0,
        one_line(title)[:40],
        decoder in CODECS,
    )


def start_of(container: InputContainer, stream: AudioStream) -> float | None:
    """The time at which a player starts: that of the first picture or sound of any track.

    None if there is nothing but `stream`, whose first sample is the start then.
    """
    starts = [
        float(other.start_time * other.time_base)
        for other in (*container.streams.audio, *container.streams.video)
        if other is not stream
        and other.start_time is not None
        and other.time_base
        and not other.disposition & Disposition.attached_pic
    ]
    return min(starts, default=None)


@contextmanager
def _as_invalid_audio(message: str) -> Iterator[None]:
    """Turn PyAV's errors into `InvalidAudioError` and `OutOfMemoryError`.

    FFmpeg's own message ("Invalid argument" for a format that is not listed) stays in the cause.
    """
    try:
        yield
    except (AudioTooLongError, InvalidAudioError, InvalidParameterError):
        raise
    except _DECODING_ERRORS as error:
        raise InvalidAudioError(message) from error
    except MemoryError as error:
        raise OutOfMemoryError("the decoded recording does not fit into memory") from error


def _open(file: BinaryIO) -> InputContainer:
    head = file.read(40)
    file.seek(0)
    if not head:
        raise InvalidAudioError("the audio is empty (0 bytes)")
    index = quicktime_index(file)
    if index.unbacked_samples:
        raise InvalidAudioError(
            f"this file declares {index.unbacked_samples} samples, more than it has bytes"
        )
    is_broadcast = head.startswith(_BROADCAST_MAGIC)
    options = {
        **_OPTIONS,
        "probesize": str(_BROADCAST_PROBE_BYTES if is_broadcast else _PROBE_BYTES),
        # Without it, of an edit list only the start counts, and the encoder's delay is heard.
        "advanced_editlist": "0" if index.has_too_many_edits else "1",
    }
    file.seek(0)
    with _as_invalid_audio(f"not audio that FFmpeg can decode: {_describe(head)}"):
        return av.open(
            file,
            mode="r",
            container_options=options,
            metadata_errors="replace",
            io_open=_refuse_reference,
        )


def _refuse_reference(url: str, *_: object) -> NoReturn:
    """Third lock, after the two whitelists: demuxers call this before they open a second file."""
    raise InvalidAudioError(f"the file refers to another one ({url[:80]!r}); send one recording")


def format_of(container: InputContainer) -> str:
    """FFmpeg's name of the container."""
    return container.format.name.partition(",")[0]


def _audio_stream(container: InputContainer, track: int | None) -> AudioStream:
    """The track of that number, or the one that a player would choose; ready to decode.

    Of those with a listed codec, if it is not chosen by its number.
    """
    all_streams = container.streams.audio
    if track is not None and track > len(all_streams) > 0:
        raise InvalidParameterError(
            f"audio_track is {track}, but the recording has"
            f" {len(all_streams)} audio track{'s' if len(all_streams) > 1 else ''}"
        )
    chosen = all_streams if track is None else all_streams[track - 1 : track]
    streams = [s for s in chosen if _decoder(s) in CODECS]
    if not streams:
        raise InvalidAudioError(_explain_no_stream(container))
    best = container.streams.best("audio")
    stream = best if best in streams else streams[0]
    # Audio packets are so small that threads cost more time than they save.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_samples": str(_MAX_FRAME_SAMPLES)}
    return stream


def _decoder(stream: AudioStream) -> str | None:
    return stream.codec_context.name if stream.codec_context else None


def _explain_no_stream(container: InputContainer) -> str:
    if container.streams.audio:
        names = ", ".join(_decoder(s) or "unknown" for s in container.streams.audio)
        return (
            f"the audio in this {format_of(container)} file has a codec that is not read: {names}"
        )
    kinds = " and ".join(sorted({s.type for s in container.streams}))
    holds = f"only {kinds}" if kinds else "nothing at all"
    return f"no audio stream in this {format_of(container)} file: it contains {holds}"


def _describe(head: bytes) -> str:
    """What the first bytes of a file look like, for a caller who sent a wrong file."""
    for offset, signature, name in _SIGNATURES:
        if head.startswith(signature, offset):
            return f"it begins like {name}"
    if head.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in head):
        return f"it begins like text, {head.decode()!r}"
    return f"it begins with the bytes {head[:8].hex(' ')}"
