"""Bytes of any container a person would send -> `Waveform`.

PyAV brings its own FFmpeg, so nothing is installed by hand and no shell is involved. The bytes are
hostile until decoded: only listed formats and audio codecs are tried, nothing they name is ever
opened, and memory grows with what was really decoded, never with what a header declares.

Samples are taken in order. A container's start time and gaps between its packets are ignored:
time 0 is the first sample, as in a player that opens the audio alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, NoReturn, TypeAlias

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from asr_diarization.containers import CODECS, FORMATS
from asr_diarization.errors import AudioTooLongError, InvalidAudioError, OutOfMemoryError
from asr_diarization.signatures import first_look

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Waveform: TypeAlias = NDArray[np.float32]
"""Shape (samples,), mono, 16 kHz, in [-1, 1]."""

SAMPLE_RATE = 16_000
"""What Whisper and pyannote were trained on."""

MAX_CHANNELS = 32
"""More than any microphone array people record meetings with; `decode_channels` takes fewer."""

MAX_SEPARATE_CHANNELS = 8
"""Every separate channel costs as much memory as a mono recording."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz. At 1 Hz a 4 KB packet would resample to 65 million samples."""

_LARGEST_FRAME_SAMPLES = 1_000_000
"""A codec frame holds at most some 200,000 samples (TTA, one second at 192 kHz)."""

_CHUNK_SAMPLES = 16_384
"""Samples converted at a time. Codec frames of 1,000 samples handed over one by one double the
CPU time of decoding, because Python is called for each."""

_OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "codec_whitelist": ",".join(CODECS),
    # Empty: not even `file` and `data`, so no header can make FFmpeg open a path or an address.
    "protocol_whitelist": "",
}

# What PyAV raises besides its own errors when a header makes no sense to it.
_DECODING_ERRORS = (av.error.FFmpegError, ValueError, LookupError, ArithmeticError, RuntimeError)


def decode_audio(data: bytes, *, max_seconds: float) -> Waveform:
    """Decode any container FFmpeg knows, and `FORMATS` lists, to a mono waveform.

    Several channels become their mean; surround sound is mixed by FFmpeg's coefficients, scaled so
    that it cannot clip. Samples that are no numbers become 0. Of a truncated or damaged file,
    whatever can be decoded is returned.

    Peak memory is 4 bytes per sample returned (230 MB per hour) beside `data`.

    Raises:
        InvalidAudioError: `data` is empty, is no audio, or holds not one sample.
        AudioTooLongError: it lasts more than `max_seconds`; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveform.
    """
    return _decode(data, max_seconds=max_seconds, mono=True)[:, 0]


def decode_channels(data: bytes, *, max_seconds: float) -> NDArray[np.float32]:
    """Decode like `decode_audio`, but keep the channels apart: shape (channels, samples).

    The rows are strided views of one interleaved buffer; copy a row before handing it to code that
    wants contiguous memory. Peak memory is 230 MB per hour and channel.

    Raises:
        InvalidAudioError: as `decode_audio`, and for more than `MAX_SEPARATE_CHANNELS`.
        AudioTooLongError: it lasts more than `max_seconds`; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveforms.
    """
    return _decode(data, max_seconds=max_seconds, mono=False).T


def check_audio(file: BinaryIO) -> None:
    """Raise what `decode_audio` would for a file whose beginning shows that it is no audio.

    Decodes nothing, and reads no more than the headers. `file` is seekable and at its beginning.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with _opened(file):
        pass


def count_channels(data: bytes) -> int:
    """How many channels the headers say there are; 0 when they do not.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with _opened(io.BytesIO(data)) as (_, stream):
        channels: int = stream.codec_context.channels
    return channels


@contextmanager
def _opened(file: BinaryIO) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The container and the stream to decode; errors meanwhile are the file's fault."""
    with (
        _open(file) as container,
        _as_invalid_audio(
            f"this {_format(container)} file is damaged, or of a kind that FFmpeg cannot convert"
        ),
    ):
        yield container, _audio_stream(container)


def _decode(data: bytes, *, max_seconds: float, mono: bool) -> NDArray[np.float32]:
    """Samples of shape (samples, channels), 16 kHz, finite, in [-1, 1]."""
    with _opened(io.BytesIO(data)) as (container, stream):
        converter = _Converter(mono=mono)
        # realloc moves pages instead of copying them, so that growing never doubles the memory.
        samples = bytearray()
        for chunk in converter.convert(_frames(container, stream)):
            samples += chunk.data.cast("B")
            if len(samples) > max_seconds * SAMPLE_RATE * 4 * converter.channels:
                raise AudioTooLongError(_too_long(container, max_seconds))
        if not samples:
            tried = f"{_format(container)} holding {stream.codec_context.name}"
            raise InvalidAudioError(f"not one sample can be decoded (tried as {tried})")
        return np.frombuffer(samples, np.float32).reshape(-1, converter.channels)


@contextmanager
def _as_invalid_audio(message: str) -> Iterator[None]:
    """Turn whatever PyAV raises into the errors this project promises.

    FFmpeg's own words ("Invalid argument" for a format that is not listed) stay in the cause.
    """
    try:
        yield
    except (AudioTooLongError, InvalidAudioError):
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
    with _as_invalid_audio(f"not audio that FFmpeg can decode: {first_look(head)}"):
        container: InputContainer = av.open(
            file,
            mode="r",
            container_options=_OPTIONS,
            metadata_errors="replace",
            io_open=_refuse_reference,
        )
    return container


def _refuse_reference(url: str, *_: object) -> NoReturn:
    """Third lock, behind the two whitelists: demuxers ask here before they open a second file."""
    raise InvalidAudioError(f"the file refers to another one ({url[:80]!r}); send one recording")


def _format(container: InputContainer) -> str:
    name: str = container.format.name
    return name.partition(",")[0]


def _audio_stream(container: InputContainer) -> AudioStream:
    """The stream a player would choose among those we may decode, ready to decode."""
    streams = [s for s in container.streams.audio if _decoder(s) in CODECS]
    if not streams:
        raise InvalidAudioError(_no_stream(container))
    best = container.streams.best("audio")
    stream = best if best in streams else streams[0]
    # Audio packets are too small to share out; threads cost more than they bring.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_samples": str(_LARGEST_FRAME_SAMPLES)}
    return stream


def _decoder(stream: AudioStream) -> str | None:
    return stream.codec_context.name if stream.codec_context else None


def _no_stream(container: InputContainer) -> str:
    if container.streams.audio:
        names = ", ".join(_decoder(s) or "unknown" for s in container.streams.audio)
        return f"the audio in this {_format(container)} file has a codec that is not read: {names}"
    kinds = " and ".join(sorted({s.type for s in container.streams}))
    holds = f"only {kinds}" if kinds else "nothing at all"
    return f"no audio stream in this {_format(container)} file: it contains {holds}"


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decoded frames in order; damaged packets are skipped, a broken rest is the end."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            # The flushing packet at the end is lost with the rest: a few ms at most.
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


def _too_long(container: InputContainer, max_seconds: float) -> str:
    """A header may say by how much; it is only ever trusted for this message."""
    declared = (container.duration or 0) / av.time_base
    lasts = f"about {declared:.0f} s" if declared > max_seconds + 1 else f"over {max_seconds:g} s"
    return (
        f"the recording lasts {lasts};"
        f" this deployment accepts up to {max_seconds:g} s (MAX_AUDIO_SECONDS)"
    )


class _Converter:
    """Frames of any rate, sample format and layout -> 16 kHz float32 chunks of one layout."""

    def __init__(self, *, mono: bool) -> None:
        self.channels = 1
        self._layout = "mono" if mono else None
        self._limit = MAX_CHANNELS if mono else MAX_SEPARATE_CHANNELS

    def convert(self, frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.float32]]:
        """Yield interleaved samples, flat; `channels` is right from the first chunk on."""
        current: tuple[object, ...] = ()
        resampler: av.AudioResampler = None
        for frame in frames:
            described = (frame.format.name, frame.layout.name, frame.sample_rate)
            # A chained Ogg or an AAC stream may change its format half-way.
            if described != current:
                if resampler is not None:
                    yield from map(_samples, resampler.resample(None))
                current, resampler = described, self._resampler(frame)
            yield from map(_samples, resampler.resample(frame))
        if resampler is not None:
            yield from map(_samples, resampler.resample(None))

    def _resampler(self, frame: AudioFrame) -> av.AudioResampler:
        channels = frame.layout.nb_channels
        if not LOWEST_RATE <= frame.sample_rate <= HIGHEST_RATE:
            raise InvalidAudioError(f"a sample rate of {frame.sample_rate} Hz cannot be decoded")
        if channels > self._limit:
            raise InvalidAudioError(f"{channels} channels; at most {self._limit} can be decoded")
        if self._layout is None:
            self._layout, self.channels = frame.layout.name, channels
        return av.AudioResampler(
            "flt",
            self._layout,
            SAMPLE_RATE,
            frame_size=_CHUNK_SAMPLES,
            # FFmpeg mixes down to float without scaling: two equal channels would clip at 1.4.
            options={"rematrix_maxval": "1"},
        )


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """The frame's interleaved samples, flat, finite, in [-1, 1]."""
    samples: NDArray[np.float32] = frame.to_ndarray()[0]
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(samples, -1.0, 1.0, out=samples)
    return samples
