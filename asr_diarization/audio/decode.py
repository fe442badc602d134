"""Decoding: the bytes of a recording in any usual container -> `Waveform`.

PyAV brings its own FFmpeg, so nothing is installed by hand and no shell is involved. The bytes are
untrusted: `containers` lists the formats and codecs that may be used, and memory grows with the
samples that were decoded, never with what a header declares.

Time 0 is the first sample, as in a player that opens the audio alone. After it, times are those of
the container: a gap of more than `GAP_SECONDS`, where nothing was recorded or nothing can be
decoded, becomes silence. Times that go back are ignored; frames without a time follow the one
before.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.containers import format_of, open_audio
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

GAP_SECONDS = 0.1
"""Shorter gaps are rounding: MP3 and Vorbis are off by 0.04 s at joints and long blocks."""

_MAX_EMPTY_PACKETS = 10_000
"""Give up after this many packets that decode to nothing. At 7 to 20 ms each they would be minutes
of a damaged recording, and they cost 0.06 s (AMR) to 0.3 s (AAC) of CPU time."""

_FFMPEG_DOWNMIXES = (1, 2, 6, 8)
"""Numbers of channels that FFmpeg mixes to one: it knows 5.1 and 7.1. The last of three unnamed
channels it takes for low frequencies and drops; nine channels it cannot mix."""

_CHUNK_SAMPLES = 32_768
"""Samples that are resampled at once. Single codec frames of 1,000 samples double the CPU time of
decoding, because Python is called for each."""


def _ignore_block() -> None:
    """An `on_block` that does nothing."""


def decode_audio(
    data: Encoded, *, max_seconds: float, on_block: Callable[[], None] = _ignore_block
) -> Waveform:
    """Decode any container FFmpeg knows, and `FORMATS` lists, to a mono waveform.

    Several channels become their mean; 5.1 and 7.1 sound is mixed by FFmpeg's coefficients, scaled
    so that it cannot clip. NaN and infinite samples become 0. A truncated or damaged file gives the
    part that can be decoded.

    Peak memory is 4 bytes per sample returned (230 MB per hour). `on_block` is called every few
    seconds of audio; an exception it raises stops the work.

    Raises:
        InvalidAudioError: `data` is empty, is no audio, or has not one sample.
        AudioTooLongError: it lasts more than `max_seconds`; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveform.
    """
    return _decode(data, max_seconds=max_seconds, mono=True, on_block=on_block)[0]


def decode_channels(
    data: Encoded, *, max_seconds: float, on_block: Callable[[], None] = _ignore_block
) -> tuple[Waveform, ...]:
    """Decode like `decode_audio`, but keep the channels apart: all of one length.

    Peak memory is 230 MB per hour and channel; more than two may last `2 * max_seconds` together.

    Raises:
        InvalidAudioError: as `decode_audio`, and for more than `MAX_SEPARATE_CHANNELS`.
        AudioTooLongError: it lasts more than that; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveforms.
    """
    return _decode(data, max_seconds=max_seconds, mono=False, on_block=on_block)


def check_audio(file: BinaryIO) -> None:
    """Raise the error of `decode_audio` for a file whose headers show that it is no audio.

    Reads the headers only, and decodes nothing. `file` is seekable and at its beginning.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with open_audio(file):
        pass


def count_channels(data: Encoded) -> int:
    """The number of channels that the headers declare; 0 if they declare none.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with open_audio(_file(data)) as (_, stream):
        return stream.codec_context.channels


def _file(data: Encoded) -> BinaryIO:
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return data


def _decode(
    data: Encoded, *, max_seconds: float, mono: bool, on_block: Callable[[], None]
) -> tuple[Waveform, ...]:
    """The channels, 16 kHz, finite, in [-1, 1], each contiguous; one if `mono`."""
    with open_audio(_file(data)) as (container, stream):
        # realloc moves pages instead of copying them, so that growing never doubles the memory.
        rows: list[bytearray] = []
        for chunk in _Converter(mono=mono).convert(_frames(container, stream)):
            on_block()
            rows = rows or [bytearray() for _ in chunk.T]
            for number, samples in enumerate(chunk.T):
                rows[number] += np.ascontiguousarray(samples).data.cast("B")
            longest_samples = max_seconds * min(1, 2 / len(rows)) * SAMPLE_RATE
            if len(rows[0]) > 4 * longest_samples:
                raise AudioTooLongError(_too_long(container, max_seconds, len(rows)))
        if not rows:
            tried = f"{format_of(container)} holding {stream.codec_context.name}"
            raise InvalidAudioError(f"not one sample can be decoded (tried as {tried})")
        return tuple(np.frombuffer(row, np.float32) for row in rows)


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

    def __init__(self, *, mono: bool) -> None:
        self._mono = mono
        self._limit = MAX_CHANNELS if mono else MAX_SEPARATE_CHANNELS
        self._layout: str | None = None
        self._channels = 1

    def convert(self, frames: Iterator[AudioFrame]) -> Iterator[NDArray[np.float32]]:
        """Yield chunks of shape (samples, channels)."""
        gaps = _GapFinder()
        current_format: tuple[object, ...] = ()
        resampler: av.AudioResampler | None = None
        for frame in frames:
            gap_seconds = gaps.before(frame)
            frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
            # A chained Ogg or an AAC stream may change its format half-way.
            if resampler is None or frame_format != current_format or gap_seconds:
                if resampler is not None:
                    yield from map(self._samples, resampler.resample(None))
                yield from self._silence(gap_seconds)
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
            self._layout = "mono" if channels in _FFMPEG_DOWNMIXES else frame.layout.name
        elif self._layout is None:
            self._layout, self._channels = frame.layout.name, channels
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
        if self._channels < samples.shape[1]:
            samples = samples.mean(axis=1, keepdims=True)
        return samples

    def _silence(self, seconds: float) -> Iterator[NDArray[np.float32]]:
        """In chunks, because a header may declare years of it."""
        samples = round(seconds * SAMPLE_RATE)
        for start in range(0, samples, _CHUNK_SAMPLES):
            size = min(_CHUNK_SAMPLES, samples - start)
            yield np.zeros((size, self._channels), dtype=np.float32)


class _GapFinder:
    """Gaps between frames, by the times that the container gives them."""

    def __init__(self) -> None:
        self._rate: int | None = None
        self._end: float | None = None
        """Of all frames so far; None if times start anew."""

    def before(self, frame: AudioFrame) -> float:
        """Seconds between the end of all frames so far and this one; 0.0 for rounding."""
        # Times start anew with every link of a chained Ogg, which brings its tags. Times of raw AAC
        # and MP3 assume that all of it has the rate of the first frame.
        self._rate = self._rate or frame.sample_rate
        if frame.metadata or frame.sample_rate != self._rate:
            self._end = None
            return 0.0
        start: float | None = frame.time
        expected = start if self._end is None else self._end
        if expected is None:
            return 0.0
        ahead = 0.0 if start is None else start - expected
        gap = ahead if ahead > GAP_SECONDS else 0.0
        self._end = expected + gap + frame.samples / frame.sample_rate
        return gap


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """The frame's samples, (samples, channels), finite, in [-1, 1]."""
    flat: NDArray[np.float32] = frame.to_ndarray()[0]
    if not np.isfinite(flat).all():
        flat = np.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(flat, -1.0, 1.0, out=flat)
    return flat.reshape(-1, frame.layout.nb_channels)
