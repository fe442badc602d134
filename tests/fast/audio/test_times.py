"""Where a container says that nothing was recorded there is silence, and times are a player's."""

from __future__ import annotations

import io
import tracemalloc
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from asr_diarization.audio.clock import GAP_SECONDS, Clock
from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio, decode_channels
from asr_diarization.errors import AudioTooLongError

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE)
CONTAINERS = [
    ("matroska", "flac", 16000), ("webm", "libopus", 48000), ("ogg", "libopus", 48000),
    ("mp4", "aac", 44100), ("mov", "alac", 16000), ("flv", "aac", 44100), ("mpegts", "aac", 48000),
]  # fmt: skip


def recorded(container, codec, rate, *, starts=0.0, pause=0.0, layout="mono"):
    """Four seconds of a tone with a pause in the middle, of which nothing is in the file."""
    frame = av.AudioFrame.from_ndarray(TONE[None].astype(np.float32), "flt", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    out = io.BytesIO()
    with av.open(out, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.format, layout, rate)
        pieces = (*resampler.resample(frame), *resampler.resample(None), None)
        for packet in (packet for piece in pieces for packet in stream.encode(piece)):
            if packet.pts is not None:
                late = starts + (pause if packet.pts * packet.time_base >= 2 else 0)
                packet.pts = packet.dts = packet.pts + round(late / packet.time_base)
                output.mux(packet)
    return out.getvalue()


def seconds(data, max_seconds=600):
    return len(decode_audio(data, max_seconds=max_seconds)) / SAMPLE_RATE


@pytest.mark.parametrize(("container", "codec", "rate"), CONTAINERS)
@pytest.mark.parametrize("starts", [0, 50])
def test_a_pause_is_silence_and_time_0_the_first_sample(container, codec, rate, starts):
    data = recorded(container, codec, rate, starts=starts, pause=10)
    waveform = decode_audio(data, max_seconds=600)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(14, abs=0.05)
    heard = np.flatnonzero(np.abs(waveform) > 0.01)
    pause = np.diff(heard).argmax()
    # An encoder's delay, and half a packet.
    assert heard[pause] / SAMPLE_RATE == pytest.approx(2, abs=0.06)
    assert heard[pause + 1] / SAMPLE_RATE == pytest.approx(12, abs=0.06)
    assert waveform.flags.c_contiguous


def test_a_pause_of_every_channel():
    left, right = decode_channels(
        recorded("webm", "libopus", 48000, pause=10, layout="stereo"), max_seconds=600
    )
    assert len(left) == len(right) == pytest.approx(14 * SAMPLE_RATE, abs=1000)
    assert not left[3 * SAMPLE_RATE : 11 * SAMPLE_RATE].any()


def test_a_pause_counts_for_the_limit():
    data = recorded("matroska", "flac", 16000, pause=10)
    assert seconds(data, max_seconds=14.1) == pytest.approx(14, abs=0.01)
    with pytest.raises(AudioTooLongError, match=r"up to 13 s \(MAX_AUDIO_SECONDS\)"):
        seconds(data, max_seconds=13)


def test_a_declared_pause_of_100_hours_is_not_allocated():
    data = recorded("matroska", "flac", 16000, pause=100 * 3600)
    tracemalloc.start()
    with pytest.raises(AudioTooLongError, match=r"about 36000\d s; .* up to 60 s"):
        seconds(data, max_seconds=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 60 * SAMPLE_RATE * 4


def test_a_damaged_packet_moves_nothing_after_it():
    data = bytearray(recorded("mp4", "alac", 16000))
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 2000] = b"\xff" * 2000
    assert seconds(bytes(data)) == pytest.approx(4, abs=0.01)


def test_every_recording_of_a_chained_ogg_has_its_own_clock():
    plain, late = (recorded("ogg", "libopus", 48000, starts=at) for at in (0, 500))
    paused = recorded("ogg", "libopus", 48000, pause=10)
    assert seconds(plain + late) == pytest.approx(8, abs=0.05)
    assert seconds(late + plain + paused) == pytest.approx(22, abs=0.05)


def test_raw_streams_of_changing_rate_have_no_pauses():
    slow, fast = (recorded("adts", "aac", rate) for rate in (16000, 48000))
    assert seconds(slow + fast + slow) == pytest.approx(12, abs=0.4)


def missing(*times):
    """What is found missing before frames of a second at those times."""
    gaps = Clock()
    frames = [SimpleNamespace(time=t, samples=8000, sample_rate=8000, metadata={}) for t in times]
    return [gaps.before(frame) for frame in frames]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([7, 8, 9], [0, 0, 0]),
        ([7, 8 + GAP_SECONDS / 2, 9], [0, 0, 0]),
        ([0, 1.0625, 2.125], [0, 0, 0.125]),  # little by little
        ([7, 10, 11, 14], [0, 2, 0, 2]),
        ([None, None, 30, 33], [0, 0, 0, 2]),
        ([0, None, None, 5], [0, 0, 0, 2]),
        ([5, 0, 1, 2, 9.5], [0, 0, 0, 0, 0.5]),  # back: not believed
        ([0, 5, 2, 3, 7, 10], [0, 4, 0, 0, 0, 1]),  # too far once: made up for
    ],
)
def test_what_is_believed(times, expected):
    assert missing(*times) == expected
