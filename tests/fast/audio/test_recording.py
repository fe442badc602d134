"""Which track and which channels of a file are transcribed; its clocks and its headers."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, audio_tracks, check_audio, decode_audio
from asr_diarization.audio.headers import undeclared_seconds
from asr_diarization.audio.recording import channels_with_speech, read_recording
from asr_diarization.audio.windows import STEP_SECONDS
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError
from tests.fast.audio.test_decode import encode, tone, wav

VOICE = tone(440, 4)
SILENCE = np.zeros(4 * SAMPLE_RATE)
STEP = 512


def detect(waveform):
    """Takes sound at 440 Hz for speech, at any level, and at no other."""
    steps = np.pad(waveform, (0, -len(waveform) % STEP)).reshape(-1, STEP)
    spectra = np.abs(np.fft.rfft(steps * np.hanning(STEP)))
    is_voice = spectra[:, 14] > 0.3 * np.linalg.norm(spectra, axis=1)
    return (is_voice & (np.abs(steps).max(axis=1) > 1e-6)).astype(np.float32)


def read(data, **parameters):
    return read_recording(data, InferenceConfig(**parameters), 600, detect)


def movie(*tracks, starts=0.0, pictures=True, container="mp4"):
    """A video of four seconds and more with those audio tracks, which start late."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as output:
        if pictures:
            video = output.add_stream("mpeg4", rate=10)
            video.width = video.height = 64
        sounds = [output.add_stream("aac", rate=48000, layout="mono") for _ in tracks]
        if pictures:
            for _ in range(round(10 * (starts + 4))):
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
                output.mux(video.encode(picture))
            output.mux(video.encode(None))
        for samples, sound in zip(tracks, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(samples[None].astype("f4"), "flt", "mono")
            frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            frame.pts = round(starts * SAMPLE_RATE)
            resampler = av.AudioResampler("fltp", "mono", 48000)
            for piece in (*resampler.resample(frame), *resampler.resample(None), None):
                output.mux(sound.encode(piece))
    return out.getvalue()


def sounding(waveform):
    """Seconds at which it begins and ends to sound."""
    heard = np.flatnonzero(np.abs(waveform) > 0.1)
    return heard[0] / SAMPLE_RATE, heard[-1] / SAMPLE_RATE


# Tracks


@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize(("tracks", "chosen"), [((SILENCE, VOICE), 2), ((VOICE, SILENCE), 1)])
def test_of_several_tracks_the_one_with_speech_is_read_and_the_others_named(
    container, tracks, chosen
):
    recording = read(movie(*tracks, container=container))
    assert np.abs(recording.waveforms[0]).max() > 0.3
    (warning,) = recording.warnings
    assert warning == (
        f"the recording has 2 audio tracks: {chosen} (aac) was transcribed, {3 - chosen} (aac)"
        " was not; audio_track chooses"
    )


def test_a_track_with_half_of_the_speech_is_still_the_players_choice():
    part = VOICE.copy()
    part[SAMPLE_RATE * 9 // 4 :] = 0
    assert sounding(read(movie(part, VOICE)).waveforms[0])[1] < 3
    part[SAMPLE_RATE * 3 // 2 :] = 0
    assert sounding(read(movie(part, VOICE)).waveforms[0])[1] > 3


@pytest.mark.parametrize("number", [1, 2])
def test_a_track_is_chosen_by_its_number(number):
    data = movie(tone(300, 4), tone(600, 4))
    recording = read(data, audio_track=number)
    assert recording.warnings == ()
    spectrum = np.abs(np.fft.rfft(recording.waveforms[0][: 2 * SAMPLE_RATE]))
    assert spectrum.argmax() / 2 == pytest.approx(300 * number, abs=1)
    assert [track.number for track in audio_tracks(data)] == [1, 2]


def test_a_track_that_is_not_there_is_the_callers_fault():
    data = movie(VOICE, VOICE)
    for look in (
        lambda: read(data, audio_track=3),
        lambda: check_audio(io.BytesIO(data), 3),
        lambda: decode_audio(data, max_seconds=60, track=3),
    ):
        with pytest.raises(InvalidParameterError, match="is 3, but the recording has 2 audio tra"):
            look()
    with pytest.raises(InvalidParameterError, match=r"is 2, but the recording has 1 audio track$"):
        read(wav([VOICE]), audio_track=2)


# Times


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov"])
@pytest.mark.parametrize("starts", [0.0, 0.5, 5.0])
def test_sound_that_starts_after_the_pictures_has_a_players_times(container, starts):
    start, end = sounding(read(movie(VOICE, starts=starts, container=container)).waveforms[0])
    assert start == pytest.approx(starts, abs=0.06)
    assert end == pytest.approx(starts + 4, abs=0.06)


@pytest.mark.parametrize("first", [0.0, 50.0])
@pytest.mark.parametrize("second", [0.0, 700.0, 9 * 3600.0])
def test_joined_transport_streams_are_heard_one_after_the_other(first, second):
    data = b"".join(movie(VOICE, starts=s, pictures=False, container="mpegts")
                    for s in (first, second))  # fmt: skip
    waveform = decode_audio(data, max_seconds=60)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(8, abs=0.1)


# Headers


def test_mxf_is_read():
    out = io.BytesIO()
    with av.open(out, "w", format="mxf") as output:
        video = output.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        sound = output.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(100):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            output.mux(video.encode(picture))
            samples = (0.5 * np.sin(0.06 * np.arange(1920 * number, 1920 * (number + 1))))[None]
            frame = av.AudioFrame.from_ndarray((samples * 32767).astype("<i2"), "s16", "mono")
            frame.sample_rate = 48000
            output.mux(sound.encode(frame))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    waveform = decode_audio(out.getvalue(), max_seconds=60)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(4, abs=0.1)
    assert np.abs(waveform).max() == pytest.approx(0.5, abs=0.01)


def declaring(data, kept):
    """A WAV file that declares only part of its samples."""
    at = data.index(b"data") + 4
    size = int.from_bytes(data[at : at + 4], "little")
    return data[:at] + struct.pack("<I", int(size * kept) // 4 * 4) + data[at + 4 :]


def test_sound_beyond_the_wav_header_is_named():
    data = wav([VOICE])
    recording = read(declaring(data, 0.25))
    assert len(recording.waveforms[0]) == SAMPLE_RATE
    (warning,) = recording.warnings
    assert warning == "the WAV header ends before the file: 3.0 s after it were not read"
    assert undeclared_seconds(io.BytesIO(data + data)) == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\0",
        b"LIST" + struct.pack("<I", 100_000) + bytes(100_000),
        b"id3 " + struct.pack("<I", 70_001) + bytes(70_002),
    ],
)
def test_chunks_after_the_samples_are_no_sound(tail):
    assert read(wav([VOICE]) + tail).warnings == ()
    assert read(declaring(wav([VOICE]), 0)).warnings == ()  # a stream: all of it is read
    assert undeclared_seconds(io.BytesIO(encode(VOICE, "flac", "flac"))) == 0


# Channels


def steady(hertz, amplitude=0.5):
    return tone(hertz, 4, amplitude=amplitude)


@pytest.mark.parametrize("buzz", [steady(50, 0.45), np.sign(steady(1200)), steady(2000, 0.01)])
def test_a_channel_without_speech_is_left_out(buzz):
    for kept, pair in enumerate(((VOICE, buzz), (buzz, VOICE))):
        recording = read(wav(pair))
        assert np.allclose(recording.waveforms[0], VOICE, atol=1e-6)
        assert recording.warnings == (
            f"channel {2 - kept} without speech left out; channels=separate keeps all",
        )
    three = read(wav((buzz, VOICE, buzz)))
    assert np.allclose(three.waveforms[0], VOICE, atol=1e-6)
    assert three.warnings[0].startswith("channels 1, 3 without speech")


def test_a_channel_without_signal_costs_no_level_and_is_not_worth_a_warning():
    recording = read(wav((VOICE, SILENCE)))
    assert np.allclose(recording.waveforms[0], VOICE, atol=1e-6)
    assert recording.warnings == ()


def test_every_channel_is_kept_where_it_may_hold_words():
    short = SILENCE.copy()
    short[2 * SAMPLE_RATE :][:SAMPLE_RATE] = VOICE[:SAMPLE_RATE]
    late = VOICE.copy()
    late[2 * SAMPLE_RATE :] = 0
    as_float = [np.asarray(c, np.float32) for c in (late, short, tone(50, 4))]
    assert channels_with_speech(as_float[:2], detect) == [0, 1]  # words the other one lacks
    assert channels_with_speech(as_float, detect) == [0, 1]
    assert channels_with_speech(as_float[2:] * 2, detect) == [0, 1]  # nobody speaks
    assert len(read(wav((VOICE, steady(50))), channels="separate").waveforms) == 2


def test_what_is_counted_is_what_the_windows_count():
    assert STEP_SECONDS == STEP / SAMPLE_RATE
