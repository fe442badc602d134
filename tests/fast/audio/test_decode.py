"""Real recordings in every container people send, and synthetic ones whose samples are known."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio, decode_channels
from asr_diarization.errors import AudioTooLongError, InvalidAudioError
from tests.support.paths import DATA

RECORDINGS = [
    pytest.param(listing.parent / row["file"], row["duration_s"], id=row["file"])
    for listing in sorted(DATA.glob("*/reference.json"))
    for row in json.loads(listing.read_text())
]


def read(name):
    return (DATA / name).read_bytes()


def decode(data, max_seconds=600):
    return decode_audio(data, max_seconds=max_seconds)


def tone(hertz, seconds=1.0, rate=SAMPLE_RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def wav(channels, rate=SAMPLE_RATE):
    """A float32 WAV file of the given channels."""
    samples = np.stack(channels, axis=1).astype("<f4")
    width = 4 * samples.shape[1]
    header = struct.pack("<HHIIHH", 3, samples.shape[1], rate, rate * width, width, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data"
    body += struct.pack("<I", samples.nbytes) + samples.tobytes()
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encode(samples, container, codec, rate=SAMPLE_RATE, layout="mono", file=None, **options):
    """`samples`, mono at 16 kHz, as a file written by FFmpeg."""
    out = file or io.BytesIO()
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
    frame.sample_rate = SAMPLE_RATE
    with av.open(out, "w", format=container, container_options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.format, layout, rate)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return out.getvalue() if file is None else Path(file).read_bytes()


def likeness(waveform, reference):
    """Correlation of the two after the best shift, and that shift in seconds."""
    size = 1 << (len(waveform) + len(reference)).bit_length()
    spectrum = np.fft.rfft(waveform, size) * np.conj(np.fft.rfft(reference, size))
    products = np.fft.irfft(spectrum, size)
    best = int(products.argmax())
    energy = np.sqrt(float(np.square(waveform).sum()) * float(np.square(reference).sum()))
    shift = best if best < size // 2 else best - size
    return float(products[best]) / energy, shift / SAMPLE_RATE


@pytest.fixture(scope="module")
def speech():
    """Three seconds of somebody reading."""
    return decode(read("formats/sample1.wav"))[: 3 * SAMPLE_RATE].copy()


@pytest.mark.parametrize(("path", "seconds"), RECORDINGS)
def test_every_recording_is_a_waveform(path, seconds):
    waveform = decode(path.read_bytes())
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert waveform.flags.c_contiguous
    assert waveform.flags.writeable  # torch.from_numpy warns about read-only memory
    assert np.isfinite(waveform).all()
    assert np.abs(waveform).max() <= 1
    # AMR's declared duration is an estimate from its bit rate.
    assert len(waveform) / SAMPLE_RATE == pytest.approx(seconds, abs=0.1 if seconds < 31 else 1)


def test_a_minute_of_dialogue_is_a_minute():
    assert len(decode(read("dialogues/d1_1min_2spk.flac"))) == 60 * SAMPLE_RATE


def test_lossless_files_are_the_same_to_the_bit():
    assert np.array_equal(decode(read("formats/sample1.flac")), decode(read("formats/sample1.wav")))


@pytest.mark.parametrize("extension", ["mp3", "ogg", "webm"])
def test_one_utterance_is_the_same_in_every_container(extension):
    reference = decode(read("formats/sample1.wav"))
    similarity, shift = likeness(decode(read(f"formats/sample1.{extension}")), reference)
    assert similarity > 0.96
    assert abs(shift) < 0.01


LOSSLESS = [
    ("wav", "pcm_s16le"), ("wav", "pcm_f64le"), ("w64", "pcm_s16le"), ("flac", "flac"),
    ("matroska", "pcm_s16le"), ("aiff", "pcm_s16be"), ("caf", "pcm_s16le"), ("au", "pcm_s16be"),
    ("mp4", "alac"), ("mov", "pcm_s16le"),
]  # fmt: skip
LOSSY = [
    ("wav", "pcm_u8", 8000), ("wav", "pcm_mulaw", 8000), ("wav", "pcm_alaw", 8000),
    ("wav", "pcm_s24le", 48000), ("wav", "adpcm_ima_wav", 16000), ("wav", "adpcm_ms", 16000),
    ("wav", "g722", 16000), ("wav", "g726", 8000), ("ogg", "libopus", 48000),
    ("webm", "libopus", 48000), ("mp3", "libmp3lame", 16000), ("mp2", "mp2", 16000),
    ("adts", "aac", 16000), ("mp4", "aac", 44100), ("mp4", "libmp3lame", 44100),
    ("3gp", "aac", 16000), ("avi", "libmp3lame", 44100), ("flv", "aac", 44100),
    ("flv", "nellymoser", 16000), ("mpegts", "aac", 48000), ("mpeg", "mp2", 48000),
    ("vob", "ac3", 48000), ("ac3", "ac3", 48000), ("eac3", "eac3", 48000),
    ("wv", "wavpack", 16000), ("tta", "tta", 16000), ("mov", "adpcm_ima_qt", 16000),
]  # fmt: skip


@pytest.mark.parametrize(("container", "codec"), LOSSLESS)
def test_lossless_containers(speech, container, codec):
    assert np.allclose(decode(encode(speech, container, codec)), speech, atol=1 / 32768)


@pytest.mark.parametrize(("container", "codec", "rate"), LOSSY)
def test_lossy_containers(speech, container, codec, rate):
    waveform = decode(encode(speech, container, codec, rate))
    similarity, shift = likeness(waveform, speech)
    # Encoders delay by up to two of their frames where the container cannot say so.
    assert similarity > 0.94
    assert abs(shift) < 0.07
    assert len(waveform) == pytest.approx(len(speech), abs=0.1 * SAMPLE_RATE)


def test_amr_over_3gp_keeps_its_length(speech):
    waveform = decode(encode(speech, "3gp", "libopencore_amrnb", 8000))
    assert len(waveform) == pytest.approx(len(speech), abs=0.05 * SAMPLE_RATE)


def test_nist_sphere(speech):
    header = "NIST_1A\n   1024\nsample_count -i {}\nsample_n_bytes -i 2\nchannel_count -i 1\n"
    header += "sample_byte_format -s2 01\nsample_rate -i 16000\nsample_coding -s3 pcm\nend_head\n"
    data = (
        header.format(len(speech)).ljust(1024).encode() + (speech * 32768).astype("<i2").tobytes()
    )
    assert np.allclose(decode(data), speech, atol=1 / 32768)


@pytest.mark.parametrize(
    ("options", "index_first"),
    [
        ({}, False),
        ({"movflags": "faststart"}, True),
        ({"movflags": "frag_keyframe+empty_moov"}, True),
    ],
)
def test_m4a_with_its_index_last_first_and_in_fragments(speech, tmp_path, options, index_first):
    # `faststart` reads the file a second time, which only works on a real one.
    data = encode(speech, "ipod", "aac", 16000, file=str(tmp_path / "a.m4a"), **options)
    assert (data.index(b"moov") < data.index(b"mdat")) is index_first
    assert likeness(decode(data), speech)[0] > 0.99


# Rates and channels


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_keeps_duration_and_pitch(rate):
    waveform = decode(wav([tone(440, 2, rate)], rate))
    assert len(waveform) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    middle = slice(SAMPLE_RATE // 2, -SAMPLE_RATE // 2)
    assert np.allclose(waveform[middle], tone(440, 2)[middle], atol=0.01)


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_the_lowest_and_the_highest_rate_are_decoded(rate):
    assert len(decode(wav([tone(100, 2, rate)], rate))) == pytest.approx(2 * SAMPLE_RATE, abs=40)


def test_stereo_becomes_its_mean():
    left, right = tone(440), tone(1000)
    assert np.allclose(decode(wav([left, right])), (left + right) / 2, atol=1e-6)


def test_two_loud_equal_channels_do_not_clip():
    loud = tone(440, amplitude=0.95)
    assert np.allclose(decode(wav([loud, loud])), loud, atol=1e-6)


def test_surround_sound_keeps_every_voice():
    # 5.1 is left, right, centre, low frequencies, and two behind.
    hertz = (400, 500, 600, 0, 800, 900)
    waveform = decode(wav([tone(h, 1, 48000) for h in hertz], 48000))
    assert np.abs(waveform).max() < 1
    spectrum = np.abs(np.fft.rfft(waveform)) * 2 / len(waveform)
    assert all(spectrum[h] > 0.05 for h in hertz if h)
    assert spectrum[600] == max(spectrum)  # speech is in the centre


@pytest.mark.parametrize("count", [3, 4, 5, 7, 9, 10, 11, 12, 16, 20, 24, 32])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_microphones_without_names_become_their_mean(count, rate):
    waveform = decode(wav([tone(100 * (i + 1), 1, rate) for i in range(count)], rate))
    spectrum = np.abs(np.fft.rfft(waveform)) * 2 / len(waveform)
    assert spectrum[100 * (1 + np.arange(count))] == pytest.approx(0.5 / count, rel=0.05)


@pytest.mark.parametrize("count", range(1, 9))
def test_channels_apart(count):
    voices = [tone(200 * (i + 1)) for i in range(count)]
    channels = decode_channels(wav(voices), max_seconds=10)
    assert np.shape(channels) == (count, SAMPLE_RATE)
    assert all(channel.flags.c_contiguous and channel.flags.writeable for channel in channels)
    assert np.allclose(channels, voices, atol=1e-6)
    assert decode(wav(voices)).shape == (SAMPLE_RATE,)


def test_channels_of_a_48_khz_call():
    left, right = tone(440, 1, 48000), tone(1000, 1, 48000)
    channels = decode_channels(wav([left, right], 48000), max_seconds=10)
    middle = slice(1000, -1000)
    assert np.allclose(channels[0][middle], tone(440)[middle], atol=0.01)
    assert np.allclose(channels[1][middle], tone(1000)[middle], atol=0.01)


def test_a_stream_may_change_its_format_half_way(speech):
    first = encode(speech, "adts", "aac", 16000)
    second = encode(speech, "adts", "aac", 48000, "stereo")
    waveform = decode(first + second)
    assert len(waveform) == pytest.approx(2 * len(speech), abs=0.3 * SAMPLE_RATE)
    assert likeness(waveform[len(speech) + 8000 :], speech)[0] > 0.8


# Samples and duration


def test_what_is_no_number_becomes_silence_and_a_glitch_is_clipped():
    samples = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -0.25])
    assert decode(wav([samples])).tolist() == [0.5, 0, 0, 0, 1, -0.25]


@pytest.mark.parametrize("gain", [1.01, 1.5, 45, 32768])
def test_sound_beyond_full_scale_is_scaled_not_clipped(gain):
    voice = tone(440, 2) + tone(700, 2, amplitude=0.49)
    expected = voice / np.abs(voice).max()
    assert np.allclose(decode(wav([gain * expected])), expected, atol=1e-4)
    left, right = decode_channels(wav([gain * expected, 0.1 * expected]), max_seconds=10)
    assert np.allclose(left, expected, atol=1e-4)
    assert np.allclose(right, 0.1 / gain * expected, atol=1e-4)  # their levels stay comparable


def test_a_glitch_does_not_silence_what_is_scaled():
    voice = 8 * tone(440, 2)
    voice[::20_000] = 1e6
    waveform = decode(wav([voice]))
    assert np.abs(waveform).max() == 1
    assert np.abs(waveform[5000:9000]).max() > 0.5


def test_no_number_spoils_what_is_resampled_only_around_it():
    samples = tone(440, 2, 48000)
    samples[48000] = np.nan
    waveform = decode(wav([samples], 48000))
    assert np.isfinite(waveform).all()
    assert np.allclose(waveform[1000:15000], tone(440, 2)[1000:15000], atol=0.01)


def test_the_limit_is_inclusive():
    data = wav([tone(440, 2)])
    assert len(decode(data, max_seconds=2)) == 2 * SAMPLE_RATE
    assert np.shape(decode_channels(data, max_seconds=float("inf"))) == (1, 2 * SAMPLE_RATE)
    with pytest.raises(AudioTooLongError) as caught:
        decode(data, max_seconds=1.9)
    assert str(caught.value) == (
        "the recording lasts over 1.9 s; this deployment accepts up to 1.9 s (MAX_AUDIO_SECONDS)"
    )


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "ogg", "webm"])
def test_both_figures_are_named_when_the_header_tells(extension):
    with pytest.raises(AudioTooLongError, match=r"lasts about 14 s; .* up to 5 s \(MAX_AUDIO"):
        decode(read(f"formats/sample1.{extension}"), max_seconds=5)


# Moving pictures


def video(*, audio):
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as output:
        pictures = output.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        sound = output.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if audio else None
        for _ in range(20):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            output.mux(pictures.encode(picture))
        output.mux(pictures.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(tone(440, 2)[None].astype("f4"), "fltp", "mono")
            frame.sample_rate = SAMPLE_RATE
            output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
    return out.getvalue()


def test_the_sound_of_a_video_is_taken():
    similarity, _ = likeness(decode(video(audio=True)), tone(440, 2))
    assert similarity > 0.95


def test_a_silent_video_is_refused_by_name():
    with pytest.raises(
        InvalidAudioError, match="no audio stream in this mov file: it contains only v"
    ):
        decode(video(audio=False))
