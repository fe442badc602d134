"""What strangers send: memory is bounded, only our errors come out."""

from __future__ import annotations

import base64
import io
import random
import struct
import time
import tracemalloc

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_diarization.audio import containers
from asr_diarization.audio import decode as audio_decode
from asr_diarization.audio.decode import SAMPLE_RATE, check_audio, decode_audio, decode_channels
from asr_diarization.errors import AudioTooLongError, InvalidAudioError, OutOfMemoryError
from tests.support.paths import DATA
from tests.support.quicktime_files import HERE, box, movie

FORMATS = DATA / "formats"
FILES = {path.name: path.read_bytes() for path in sorted(FORMATS.glob("sample*"))}
GOOD, WAV = FILES["sample1.flac"], FILES["sample1.wav"]


def decode(data, max_seconds=60):
    return decode_audio(data, max_seconds=max_seconds)


# What is said about what is no audio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg"
    "=="
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty (0 bytes)"),
        (b"\0", "begins with the bytes 00"),
        (bytes(100_000), "begins with the bytes 00 00 00 00 00 00 00 00"),
        (b"hello, this is no recording", "begins like text, 'hello, this is no recording'"),
        (b'{"inputs": "UklGRg=="}', "begins like text"),
        (base64.b64encode(GOOD), "begins like text, 'ZkxhQ"),
        (PNG, "begins like a PNG picture"),
        (b"%PDF-1.7\n" + bytes(100), "a PDF document"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
        (WAV[:40], "a WAV or AVI file, but its header is broken"),
        (WAV[: WAV.index(b"data") + 8], "not one sample can be decoded (tried as wav holding pcm"),
        (FILES["sample1.flac"][:20], "a FLAC file, but its header is broken"),
        (FILES["sample1.ogg"][:100], "an Ogg file, but its header is broken"),
        (FILES["sample1.webm"][:30], "a WebM or Matroska file, but its header is broken"),
        (FILES["sample.amr"][:4], "begins like text"),
    ],
    ids=lambda value: value[:25] if isinstance(value, str) else len(value),
)
def test_what_is_said_about_what_is_no_audio(data, message):
    for function in (decode_audio, decode_channels):
        with pytest.raises(InvalidAudioError) as caught:
            function(data, max_seconds=60)
        assert message in str(caught.value)
        assert "Errno" not in str(caught.value)


def test_an_upload_cut_before_the_index_is_told_apart():
    data = movie(HERE, 10)
    with pytest.raises(InvalidAudioError, match=r"index \(moov\) is missing.*cut short"):
        decode(data[: data.index(b"moov") - 4] + box(b"mdat", bytes(1000)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
def test_a_truncated_upload_gives_its_beginning(name, kept):
    whole, data = decode(FILES[name]), FILES[name]
    waveform = decode(data[: int(len(data) * kept)])
    assert 0.7 * kept < len(waveform) / len(whole) < min(1, 1.3 * kept)
    # The very end may be concealed by the decoder or lack the overlap of the next frame.
    sound = slice(0, len(waveform) - SAMPLE_RATE // 4)
    assert np.allclose(waveform[sound], whole[sound], atol=0.02)


def test_damage_in_the_middle_costs_only_the_middle():
    data = bytearray(FILES["sample1.mp3"])
    data[20_000:21_000] = random.Random(0).randbytes(1000)
    assert len(decode(bytes(data))) == pytest.approx(len(decode(FILES["sample1.mp3"])), rel=0.1)


# Sizes that are lies, and sizes that are not

HUNDRED_HOURS = 100 * 3600


def wav_header(rate=8000, channels=1, data_bytes=0):
    header = struct.pack("<HHIIHH", 1, channels, rate, rate * channels & 0xFFFFFFFF, channels, 8)
    return (
        b"RIFF" + struct.pack("<I", 36 + data_bytes & 0xFFFFFFFF) + b"WAVEfmt \x10\0\0\0" + header
    ) + (b"data" + struct.pack("<I", data_bytes))


def flac_declaring(seconds):
    # STREAMINFO ends with 36 bits of total samples and 16 bytes of MD5; it starts at byte 8.
    data = bytearray(FILES["sample1.flac"])
    total = seconds * SAMPLE_RATE
    data[21] = data[21] & 0xF0 | total >> 32
    data[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav_header(data_bytes=8000 * HUNDRED_HOURS) + b"\x80\x90" * 8000, 2),
        (flac_declaring(HUNDRED_HOURS), 13.69),
        # The most FFmpeg takes; 37 hours.
        (movie(HERE, 2**31 - 1) + box(b"mdat", b"\1\2" * 16000), 1),
    ],
    ids=["wav", "flac", "mov"],
)
def test_a_small_file_that_declares_100_hours_is_what_it_holds(data, seconds):
    tracemalloc.start()
    waveform = decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The mov has no box that ends its samples, so its headers are taken for sound as well.
    assert len(waveform) / SAMPLE_RATE == pytest.approx(seconds, abs=0.1)
    assert peak < 10_000_000


def test_a_tiny_file_of_hours_of_silence_stops_at_the_limit():
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as output:
        stream = output.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 600 * SAMPLE_RATE), "i2"), "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        for _ in range(12):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert len(out.getvalue()) < 1_500_000  # two hours
    tracemalloc.start()
    before = time.process_time()
    with pytest.raises(AudioTooLongError, match=r"over 120 s|about 7200 s"):
        decode(out.getvalue(), max_seconds=120)
    seconds = time.process_time() - before
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * 120 * SAMPLE_RATE * 4
    assert seconds < 5  # 0.2 on an EPYC core; the two hours are 60 times the limit


def test_growing_never_doubles_the_memory():
    data = wav_header(16000, data_bytes=600 * 16000) + bytes(600 * 16000)
    tracemalloc.start()
    assert len(decode(data, max_seconds=700)) == 600 * SAMPLE_RATE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.15 * 600 * SAMPLE_RATE * 4


def test_separate_channels_together_last_no_longer_than_two():
    data = wav_header(8000, 8, 8 * 8000 * 30) + b"\x80" * 8 * 8000 * 30
    assert np.shape(decode_channels(data, max_seconds=120)) == (8, 30 * SAMPLE_RATE)
    tracemalloc.start()
    with pytest.raises(AudioTooLongError) as caught:
        decode_channels(data, max_seconds=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value) == (
        "the recording lasts about 30 s in each of 8 separate channels; this deployment accepts"
        " up to 15 s of so many, together twice 60 s (MAX_AUDIO_SECONDS)"
    )
    assert peak < 1.3 * 2 * 60 * SAMPLE_RATE * 4


# A frame header of AAC, and what follows is no AAC.
NO_AAC = b"\xff\xf1\x50\x40\x00\xff\xfc"


@pytest.mark.parametrize("data", [b"#!AMR\n" + b"\x7c" * 2_000_000, NO_AAC * 4_000_000])
def test_packets_without_a_sample_are_not_tried_for_ever(data):
    before = time.process_time()
    with pytest.raises(InvalidAudioError, match="not one sample"):
        decode(data)
    # 0.1 and 2 on an EPYC core, the latter for FFmpeg's look at the first 5 MB; it was 27 and 100.
    assert time.process_time() - before < 12


def test_what_comes_before_a_empty_rest_is_kept():
    whole = decode(FILES["sample.amr"])
    before = time.process_time()
    waveform = decode(FILES["sample.amr"] + b"\x7c" * 2_000_000)
    assert time.process_time() - before < 12
    assert len(waveform) == len(whole)


@pytest.mark.parametrize(
    ("rate", "channels", "message"),
    [
        (1, 1, "sample rate of 1 Hz"),
        (999, 1, "sample rate of 999 Hz"),
        (768_001, 1, "sample rate of 768001 Hz"),
        (1_000_000, 1, "sample rate of 1000000 Hz"),
        (0xFFFFFFFF, 1, "header is broken"),
        (16000, 33, "33 channels; at most 32"),
        (16000, 1000, "decode"),
    ],
)
def test_absurd_rates_and_channels(rate, channels, message):
    with pytest.raises(InvalidAudioError, match=message):
        decode(wav_header(rate, channels, 99_000) + bytes(99_000))


@pytest.mark.parametrize(
    "data", [b"", b"no audio", b"\x89PNG", wav_header(16000, 1, 99)[:20], GOOD]
)
def test_a_look_at_the_headers_says_what_decoding_would(data):
    def said(look):
        try:
            look()
        except InvalidAudioError as error:
            return str(error)
        return None

    looked = said(lambda: check_audio(io.BytesIO(data)))
    assert looked == said(lambda: decode(data))
    assert (looked is None) == (data is GOOD)


def test_channels_apart_are_few():
    with pytest.raises(InvalidAudioError, match="10 channels; at most 8"):
        decode_channels(wav_header(16000, 10, 99_000) + bytes(99_000), max_seconds=60)


def test_a_codec_that_is_not_listed_does_not_run(monkeypatch):
    monkeypatch.setattr(containers, "CODECS", ("mp3",))
    with pytest.raises(InvalidAudioError, match="flac file has a codec that is not read: flac"):
        decode(GOOD)


def test_frames_of_absurd_size_are_refused_by_the_decoder(monkeypatch):
    monkeypatch.setattr(containers, "_MAX_FRAME_SAMPLES", 100)
    with pytest.raises(InvalidAudioError, match="not one sample"):
        decode(GOOD)


def test_memory_that_runs_out_is_not_the_callers_fault(monkeypatch):
    def no_memory(_):
        raise MemoryError

    monkeypatch.setattr(audio_decode, "_samples", no_memory)
    with pytest.raises(OutOfMemoryError):
        decode(GOOD)


# Fuzz

SAMPLES = st.sampled_from(sorted(FILES))
RIGHT = decode(GOOD)


@st.composite
def damaged(draw):
    """A real file with bytes changed, cut, or glued to another."""
    data = bytearray(FILES[draw(SAMPLES)])
    positions = st.integers(0, draw(st.sampled_from([64, 512, len(data) - 1])))
    for position, value in draw(st.lists(st.tuples(positions, st.integers(0, 255)), max_size=40)):
        data[position] = value
    start, end = draw(st.integers(0, 600)), draw(st.integers(0, len(data)))
    kind = draw(st.sampled_from(["whole", "head", "tail", "glued"]))
    if kind == "glued":
        return bytes(data[:end]) + FILES[draw(SAMPLES)][start:]
    return bytes(data[slice(start if kind == "tail" else 0, end if kind == "head" else None)])


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=2000) | damaged(), apart=st.booleans())
def test_nothing_but_samples_or_errors_of_ours(capfd, data, apart):
    try:
        samples = (decode_channels if apart else decode_audio)(data, max_seconds=40)
    except (InvalidAudioError, AudioTooLongError) as error:
        complaint = str(error)
    else:
        complaint = "none"
        assert np.shape(samples)[-1] > 0
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1
    assert 0 < len(complaint) < 500
    assert capfd.readouterr() == ("", "")
    assert np.array_equal(decode(GOOD), RIGHT)  # the next request is answered as ever
