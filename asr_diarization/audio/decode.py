"""Decoding: the bytes of a recording in any usual container -> `Waveform`.

PyAV brings its own FFmpeg, so nothing is installed by hand and no shell is involved. The bytes are
untrusted: `containers` lists the formats and codecs that may be used, and memory grows with the
samples that were decoded, never with what a header declares.

`clock` says which times frames have, and what is silence between them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.buffers import WaveformBuffer
from asr_diarization.audio.clock import Clock
from asr_diarization.audio.containers import Track, format_of, list_tracks, open_audio, start_of
from asr_diarization.audio.mixing import Mixer
from asr_diarization.errors import AudioTooLongError, InvalidAudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Waveform: TypeAlias = NDArray[np.float32]
"""Shape (samples,), mono, 16 kHz, in [-1, 1]."""

Encoded: TypeAlias = bytes | BinaryIO
"""A whole file as it was sent: its bytes, or open for reading."""

SAMPLE_RATE = 16_000
"""What Whisper and pyannote were trained on."""

MAX_CHANNELS = 32
"""Microphone arrays for meetings have fewer. `decode_channels` accepts fewer, too."""

MAX_SEPARATE_CHANNELS = 8
"""Every separate channel costs as much memory as a mono recording."""

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
"""Hz. At 1 Hz a 4 KB packet would resample to 65 million samples."""

_MAX_EMPTY_PACKETS = 10_000
"""Give up after this many packets that decode to nothing. At 7 to 20 ms each they would be minutes
of a damaged recording, and they cost 0.06 s (AMR) to 0.3 s (AAC) of CPU time."""

SURROUND_CHANNELS = (6, 8)
"""Numbers of channels that FFmpeg mixes to one: it knows 5.1 and 7.1. The last of three unnamed
channels it takes for low frequencies and drops; nine channels it cannot mix."""

_JOINABLE_FORMATS = ("mpegts", "mpeg")
"""Of which parts can be joined as bytes, each with its own clock."""

_CHUNK_SAMPLES = 32_768
"""Samples that are resampled at once. Single codec frames of 1,000 samples double the CPU time of
decoding, because Python is called for each."""


def _ignore_block() -> None:
    """An `on_block` that does nothing."""


def decode_audio(
    data: Encoded,
    *,
    max_seconds: float,
    track: int | None = None,
    on_block: Callable[[], None] = _ignore_block,
) -> Waveform:
    """Decode any container FFmpeg knows, and `FORMATS` lists, to a mono waveform.

    Several channels become their mean, inverted ones turned round first; 5.1 and 7.1 sound is mixed
    by FFmpeg's coefficients, scaled so that it cannot clip. NaN and infinite samples become 0; a
    recording beyond full scale is scaled down. A truncated or damaged file gives the part that can
    be decoded.

    Peak memory is 4 bytes per sample that was decoded (230 MB per hour); gaps take none. `on_block`
    is called every few seconds of audio; an exception it raises stops the work.

    Raises:
        InvalidAudioError: `data` is empty, is no audio, or has not one sample.
        InvalidParameterError: it has no audio track of the number `track`, counted from 1.
        AudioTooLongError: it lasts more than `max_seconds`; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveform.
    """
    return _decode(data, max_seconds, track, on_block, mono=True)[0]


def decode_channels(
    data: Encoded,
    *,
    max_seconds: float,
    track: int | None = None,
    on_block: Callable[[], None] = _ignore_block,
) -> tuple[Waveform, ...]:
    """Decode like `decode_audio`, but keep the channels apart: all of one length.

    Peak memory is 230 MB per hour and channel; more than two may last `2 * max_seconds` together.

    Raises:
        InvalidAudioError: as `decode_audio`, and for more than `MAX_SEPARATE_CHANNELS`.
        InvalidParameterError: as `decode_audio`.
        AudioTooLongError: it lasts more than that; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveforms.
    """
    return _decode(data, max_seconds, track, on_block, mono=False)


def check_audio(file: BinaryIO, track: int | None = None) -> None:
    """Raise the error of `decode_audio` for a file whose headers show that it is no audio.

    Reads the headers only, and decodes nothing. `file` is seekable and at its beginning.

    Raises:
        InvalidAudioError: as `decode_audio`.
        InvalidParameterError: as `decode_audio`.
    """
    with open_audio(file, track):
        pass


def audio_tracks(data: Encoded) -> tuple[Track, ...]:
    """The audio tracks that the headers declare, the one that a player would choose first.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    return list_tracks(as_file(data))


def as_file(data: Encoded) -> BinaryIO:
    """`data` as a file at its beginning."""
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return data


def _decode(
    data: Encoded,
    max_seconds: float,
    track: int | None,
    on_block: Callable[[], None],
    *,
    mono: bool,
) -> tuple[Waveform, ...]:
    """The channels, 16 kHz, finite, in [-1, 1], each contiguous; one if `mono`."""
    with open_audio(as_file(data), track) as (container, stream):
        is_joinable = format_of(container) in _JOINABLE_FORMATS
        clock = Clock(start_of(container, stream), is_joinable=is_joinable)
        buffer: WaveformBuffer | None = None
        gap_samples = 0
        for chunk in _Converter(clock, mono=mono).convert(_frames(container, stream)):
            on_block()
            if isinstance(chunk, float):
                gap_samples += round(chunk * SAMPLE_RATE)
                continue
            buffer = buffer or WaveformBuffer(chunk.shape[1])
            if gap_samples:
                buffer.append_gap(gap_samples)
                gap_samples = 0
            buffer.append(chunk)
            longest_samples = max_seconds * min(1, 2 / chunk.shape[1]) * SAMPLE_RATE
            if buffer.samples > longest_samples:
                raise AudioTooLongError(_too_long(container, max_seconds, chunk.shape[1]))
        if buffer is None:
            tried = f"{format_of(container)} holding {stream.codec_context.name}"
            raise InvalidAudioError(f"not one sample can be decoded (tried as {tried})")
        return buffer.waveforms()


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decoded frames in order, without damaged packets; ends where the rest cannot be decoded."""
    packets = container.demux(stream)
    empty = 0
    while empty < _MAX_EMPTY_PACKETS:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            # The flushing packet at the end is lost with the rest: a few ms at most.
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            frames = []
        empty = 0 if frames else empty + 1
        yield from frames


def _too_long(container: InputContainer, max_seconds: float, channels: int) -> str:
    """The message; the duration in the header is used for nothing else."""
    longest = max_seconds * min(1, 2 / channels)
    declared = (container.duration or 0) / av.time_base
    lasts = f"about {declared:.0f} s" if declared > longest + 1 else f"over {longest:g} s"
    if channels > 2:
        return (
            f"the recording lasts {lasts} in each of {channels} separate channels; this deployment"
            f" accepts up to {longest:g} s of so many, together twice {max_seconds:g} s"
            f" (MAX_AUDIO_SECONDS)"
        )
    return (
        f"the recording lasts {lasts};"
        f" this deployment accepts up to {max_seconds:g} s (MAX_AUDIO_SECONDS)"
    )


class _Converter:
    """Frames of any rate, sample format and layout -> 16 kHz float32 chunks of one layout."""

    def __init__(self, clock: Clock, *, mono: bool) -> None:
        self._clock, self._mono = clock, mono
        self._mixer = Mixer()
        self._limit = MAX_CHANNELS if mono else MAX_SEPARATE_CHANNELS
        self._layout: str | None = None

    def convert(self, frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.float32] | float]:
        """Yield chunks of shape (samples, channels), and the seconds of each gap between them."""
        current_format: tuple[object, ...] = ()
        resampler: av.AudioResampler | None = None
        for frame in frames:
            gap_seconds = self._clock.before(frame)
            frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
            # A chained Ogg or an AAC stream may change its format half-way.
            if resampler is None or frame_format != current_format or gap_seconds:
                if resampler is not None:
                    yield from map(self._samples, resampler.resample(None))
                if gap_seconds:
                    yield gap_seconds
                current_format, resampler = frame_format, self._resampler(frame)
            yield from map(self._samples, resampler.resample(frame))
        if resampler is not None:
            yield from map(self._samples, resampler.resample(None))

    def _resampler(self, frame: AudioFrame) -> av.AudioResampler:
        channels = frame.layout.nb_channels
        if not MIN_SAMPLE_RATE <= frame.sample_rate <= MAX_SAMPLE_RATE:
            raise InvalidAudioError(f"a sample rate of {frame.sample_rate} Hz cannot be decoded")
        if channels > self._limit:
            raise InvalidAudioError(f"{channels} channels; at most {self._limit} can be decoded")
        if self._mono:
            self._layout = "mono" if channels in SURROUND_CHANNELS else frame.layout.name
        elif self._layout is None:
            self._layout = frame.layout.name
        return av.AudioResampler(
            "flt",  # PyAV's arrays of planar frames crash the process from 8 channels on
            self._layout,
            SAMPLE_RATE,
            frame_size=_CHUNK_SAMPLES,
            # FFmpeg mixes down to float without scaling: two equal channels would clip at 1.4.
            options={"rematrix_maxval": "1"},
        )

    def _samples(self, frame: AudioFrame) -> NDArray[np.float32]:
        samples = _samples(frame)
        return self._mixer.mix(samples) if self._mono else samples


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """The frame's samples, (samples, channels), finite."""
    flat: NDArray[np.float32] = frame.to_ndarray()[0]
    if not np.isfinite(flat).all():
        flat = np.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)
    return flat.reshape(-1, frame.layout.nb_channels)
