"""Bytes of any container a person would send -> `Waveform`.

PyAV brings its own FFmpeg, so nothing is installed by hand and no shell is involved. The bytes are
hostile until decoded: `containers` lists what may be tried on them, and memory grows with what was
really decoded, never with what a header declares.

Time 0 is the first sample, as in a player that opens the audio alone. From there on times are the
container's: where nothing was recorded, or nothing can be decoded, for over `GAP_SECONDS`, there is
silence. Times that go back are not believed, and none are invented for frames without.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.containers import format_of, opened
from asr_diarization.errors import AudioTooLongError, InvalidAudioError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Waveform: TypeAlias = NDArray[np.float32]
"""Shape (samples,), mono, 16 kHz, in [-1, 1]."""

Encoded: TypeAlias = bytes | BinaryIO
"""A whole file as it was sent; one that lies on a disk need not be in memory as well."""

SAMPLE_RATE = 16_000
"""What Whisper and pyannote were trained on."""

MAX_CHANNELS = 32
"""More than any microphone array people record meetings with; `decode_channels` takes fewer."""

MAX_SEPARATE_CHANNELS = 8
"""Every separate channel costs as much memory as a mono recording."""

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Hz. At 1 Hz a 4 KB packet would resample to 65 million samples."""

GAP_SECONDS = 0.1
"""Less is how containers round: MP3 and Vorbis are off by 0.04 s at joints and long blocks."""

_BARREN_PACKETS = 10_000
"""So many in a row without one sample are no audio. At 7 to 20 ms each they would be minutes of a
damaged recording, and they cost 0.06 s (AMR) to 0.3 s (AAC) of CPU time."""

_FFMPEG_MIXES = (1, 2, 6, 8)
"""Channels that FFmpeg mixes to one: it knows 5.1 and 7.1. Of three without names it takes the
last for low frequencies and drops it; nine it cannot mix at all."""

_CHUNK_SAMPLES = 32_768
"""Samples converted at a time. Codec frames of 1,000 samples handed over one by one double the
CPU time of decoding, because Python is called for each."""


def decode_audio(data: Encoded, *, max_seconds: float) -> Waveform:
    """Decode any container FFmpeg knows, and `FORMATS` lists, to a mono waveform.

    Several channels become their mean; 5.1 and 7.1 sound is mixed by FFmpeg's coefficients, scaled
    so that it cannot clip. Samples that are no numbers become 0. Of a truncated or damaged file,
    whatever can be decoded is returned.

    Peak memory is 4 bytes per sample returned (230 MB per hour).

    Raises:
        InvalidAudioError: `data` is empty, is no audio, or holds not one sample.
        AudioTooLongError: it lasts more than `max_seconds`; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveform.
    """
    return _decode(data, max_seconds=max_seconds, mono=True)[0]


def decode_channels(data: Encoded, *, max_seconds: float) -> tuple[Waveform, ...]:
    """Decode like `decode_audio`, but keep the channels apart: all of one length.

    Peak memory is 230 MB per hour and channel; more than two may last `2 * max_seconds` together.

    Raises:
        InvalidAudioError: as `decode_audio`, and for more than `MAX_SEPARATE_CHANNELS`.
        AudioTooLongError: it lasts more than that; decoding stops there.
        OutOfMemoryError: this machine cannot hold the waveforms.
    """
    return _decode(data, max_seconds=max_seconds, mono=False)


def check_audio(file: BinaryIO) -> None:
    """Raise what `decode_audio` would for a file whose beginning shows that it is no audio.

    Decodes nothing, and reads no more than the headers. `file` is seekable and at its beginning.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with opened(file):
        pass


def count_channels(data: Encoded) -> int:
    """How many channels the headers say there are; 0 when they do not.

    Raises:
        InvalidAudioError: as `decode_audio`.
    """
    with opened(_file(data)) as (_, stream):
        channels: int = stream.codec_context.channels
    return channels


def _file(data: Encoded) -> BinaryIO:
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return data


def _decode(data: Encoded, *, max_seconds: float, mono: bool) -> tuple[Waveform, ...]:
    """The channels, 16 kHz, finite, in [-1, 1], each contiguous; one if `mono`."""
    with opened(_file(data)) as (container, stream):
        # realloc moves pages instead of copying them, so that growing never doubles the memory.
        rows: list[bytearray] = []
        for chunk in _Converter(mono=mono).convert(_frames(container, stream)):
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
    """Decoded frames in order; damaged packets are skipped, a broken or barren rest is the end."""
    packets = container.demux(stream)
    barren = 0
    while barren < _BARREN_PACKETS:
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
        barren = 0 if frames else barren + 1
        yield from frames


def _too_long(container: InputContainer, max_seconds: float, channels: int) -> str:
    """A header may say by how much; it is only ever trusted for this message."""
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
        clock = _Clock()
        current: tuple[object, ...] = ()
        resampler: av.AudioResampler = None
        for frame in frames:
            missing_seconds = clock.missing_before(frame)
            described = (frame.format.name, frame.layout.name, frame.sample_rate)
            # A chained Ogg or an AAC stream may change its format half-way.
            if described != current or missing_seconds:
                if resampler is not None:
                    yield from map(self._samples, resampler.resample(None))
                yield from self._silence(missing_seconds)
                current, resampler = described, self._resampler(frame)
            yield from map(self._samples, resampler.resample(frame))
        if resampler is not None:
            yield from map(self._samples, resampler.resample(None))

    def _resampler(self, frame: AudioFrame) -> av.AudioResampler:
        channels = frame.layout.nb_channels
        if not LOWEST_RATE <= frame.sample_rate <= HIGHEST_RATE:
            raise InvalidAudioError(f"a sample rate of {frame.sample_rate} Hz cannot be decoded")
        if channels > self._limit:
            raise InvalidAudioError(f"{channels} channels; at most {self._limit} can be decoded")
        if self._mono:
            self._layout = "mono" if channels in _FFMPEG_MIXES else frame.layout.name
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
        """In chunks, because a header may ask for years of it."""
        samples = round(seconds * SAMPLE_RATE)
        for start in range(0, samples, _CHUNK_SAMPLES):
            size = min(_CHUNK_SAMPLES, samples - start)
            yield np.zeros((size, self._channels), dtype=np.float32)


class _Clock:
    """What the container says about when frames begin."""

    def __init__(self) -> None:
        self._rate: int | None = None
        self._next: float | None = None

    def missing_before(self, frame: AudioFrame) -> float:
        """Seconds between the end of all frames so far and this one, or 0.0 if they are few."""
        # Times start anew with every link of a chained Ogg, which brings its tags. Raw AAC and MP3
        # are timed as if all of it had the rate it begins with.
        self._rate = self._rate or frame.sample_rate
        if frame.metadata or frame.sample_rate != self._rate:
            self._next = None
            return 0.0
        begin: float | None = frame.time
        expected = begin if self._next is None else self._next
        if expected is None:
            return 0.0
        ahead = 0.0 if begin is None else begin - expected
        missing = ahead if ahead > GAP_SECONDS else 0.0
        self._next = expected + missing + frame.samples / frame.sample_rate
        return missing


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """The frame's samples, (samples, channels), finite, in [-1, 1]."""
    flat: NDArray[np.float32] = frame.to_ndarray()[0]
    if not np.isfinite(flat).all():
        flat = np.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(flat, -1.0, 1.0, out=flat)
    return flat.reshape(-1, frame.layout.nb_channels)
