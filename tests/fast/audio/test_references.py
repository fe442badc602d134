"""A request that names a file on this machine must not make FFmpeg open it."""

from __future__ import annotations

import ctypes
import io
import os
import sys

import av
import pytest

from asr_diarization.audio import containers
from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.errors import InvalidAudioError
from tests.support.paths import DATA
from tests.support.quicktime_files import alias, movie

WAV = DATA / "formats" / "sample1.wav"


def decode(data):
    return decode_audio(data, max_seconds=60)


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """A recording on this machine that a request must not reach."""
    path = tmp_path / "secret.wav"
    path.write_bytes(WAV.read_bytes())
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def opened(secret):
    """A function that says whether anybody opened `secret` since it was last called."""
    if sys.platform != "linux":
        pytest.skip("inotify tells who opens a file")
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    in_open = 0x20
    assert libc.inotify_add_watch(watch, bytes(secret), in_open) >= 0

    def since_last_time():
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    yield since_last_time
    os.close(watch)


class NamedBytes(io.BytesIO):
    """FFmpeg takes a playlist for one by its name only."""

    name = "playlist.m3u8"


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:13,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
DASH = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>
<AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL>
</Representation></AdaptationSet></Period></MPD>"""
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"


@pytest.mark.parametrize("script", [HLS, CONCAT, DASH, SDP, "[playlist]\nFile1={}\n", "{}"])
@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file:{}", "secret.wav", "data:,{}"])
def test_a_playlist_is_refused_and_what_it_names_stays_closed(secret, opened, script, spelling):
    with pytest.raises(InvalidAudioError, match="begins like"):
        decode(script.format(spelling.format(secret)).encode())
    assert not opened()


@pytest.mark.parametrize(
    ("stream", "script", "allow"),
    [
        (io.BytesIO, CONCAT, {}),
        (NamedBytes, HLS, {"protocol_whitelist": "file", "extension_picky": "0"}),
    ],
)
def test_each_lock_holds_alone(opened, stream, script, allow):
    data = script.format("secret.wav").encode()
    names = ("protocol_whitelist", "format_whitelist")
    locks = ({}, *({name: containers._OPTIONS[name]} for name in names))
    for lock in locks:
        try:
            av.open(stream(data), container_options=allow | lock).close()
        except av.error.FFmpegError:
            assert lock
            assert not opened()
        else:
            assert not lock  # FFmpeg does open it when nobody says no
            assert opened()


def test_the_third_lock(opened):
    data = HLS.format("secret.wav").encode()
    with pytest.raises(InvalidAudioError, match=r"refers to another one \('secret.wav'\)"):
        av.open(NamedBytes(data), io_open=containers._refuse_reference)
    assert not opened()


def test_a_movie_that_keeps_its_sound_in_another_file(secret, opened):
    data = movie(alias(secret), SAMPLE_RATE)
    allow = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(io.BytesIO(data), container_options=allow) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) == SAMPLE_RATE
    assert opened()
    with pytest.raises(InvalidAudioError, match="not one sample"):
        decode(data)
    assert not opened()
