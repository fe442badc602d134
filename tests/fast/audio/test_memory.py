"""What small files with large claims take: the peak memory of a process that opens them."""

from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest

from asr_diarization.audio.buffers import WaveformBuffer
from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.errors import InvalidAudioError
from tests.fast.audio.test_decode import likeness
from tests.fast.audio.test_recording import movie as video
from tests.fast.audio.test_times import recorded
from tests.support.quicktime_files import HERE, box, movie, replays

MEASURE = textwrap.dedent("""
    import resource, sys
    from asr_diarization.audio.decode import decode_audio
    from asr_diarization.audio.channels import mix
    from asr_diarization.errors import InvalidAudioError

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    unit = 2**20 if sys.platform == "darwin" else 2**10
    file = open(sys.argv[1], "rb")
    before = peak()
    try:
        waveform = decode_audio(file, max_seconds=4 * 3600)
    except InvalidAudioError as error:
        print(0, (peak() - before) / unit)
    else:
        mix([waveform])
        print(len(waveform) / 16000, (peak() - before) / unit)
""")


def measured(data, path, seconds=60):
    """The seconds that are decoded, and the MB that it takes."""
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True, text=True, timeout=seconds, check=True,
    )  # fmt: skip
    return tuple(map(float, done.stdout.split()))


def edited(samples, edits):
    list_of_edits = replays(edits, samples * 2 / SAMPLE_RATE)
    head = movie(HERE, samples, sample_ticks=2, edits=list_of_edits)
    return head + box(b"mdat", b"\1\2" * samples)


@pytest.mark.parametrize(("samples", "edits"), [(5_000, 20_000), (60_000, 10_000)])
def test_an_edit_list_that_replays_everything_is_not_followed(tmp_path, samples, edits):
    data = edited(samples, edits)
    assert len(data) < 260_000
    seconds, megabytes = measured(data, tmp_path / "edits.mov")
    assert 0 < seconds < 20  # once
    assert megabytes < 60  # 10 on Linux; it was 1000 to 2000


def compressed(data):
    """The same file with its moov compressed, as QuickTime once did."""
    start = data.index(b"moov") - 4
    end = start + int.from_bytes(data[start : start + 4], "big")
    packed = struct.pack(">I", end - start) + zlib.compress(data[start:end])
    moov = box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", packed)))
    return data[:start] + moov + data[end:]


def test_nor_is_one_in_a_compressed_header(tmp_path):
    data = compressed(edited(5_000, 20_000))
    assert len(data) < 20_000
    assert measured(data, tmp_path / "edits.mov")[1] < 60


@pytest.mark.parametrize("pack", [lambda data: data, compressed])
def test_an_index_of_more_samples_than_bytes_is_refused(tmp_path, pack):
    data = pack(movie(HERE, 30_000_000, sample_ticks=2)) + box(b"mdat", bytes(9000))
    assert measured(data, tmp_path / "samples.mov") == (0, pytest.approx(0, abs=60))  # it was 1060
    with pytest.raises(InvalidAudioError, match="declares 30000000 samples, more than it has by"):
        decode_audio(data, max_seconds=60)


@pytest.mark.parametrize(("edits", "expected"), [(1, 0.5), (2, 1), (4, 2)])
def test_a_short_edit_list_is_followed(edits, expected):
    data = movie(HERE, 16_000, sample_ticks=2, edits=replays(edits, 0.5))
    waveform = decode_audio(data + box(b"mdat", b"\1\2" * 16_000), max_seconds=60)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(expected, abs=0.11)


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_the_delay_of_an_aac_encoder_is_cut_off(container):
    voice = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE)
    data = video(voice, pictures=False, container=container)
    assert b"elst" in data  # which says what is to be cut off
    similarity, shift = likeness(decode_audio(data, max_seconds=60), voice)
    assert similarity > 0.9
    assert abs(shift) < 0.001


def test_a_declared_gap_takes_no_memory(tmp_path):
    data = recorded("matroska", "flac", 16000, pause=13_980)
    assert len(data) < 200_000
    seconds, megabytes = measured(data, tmp_path / "gap.mkv")
    assert seconds == pytest.approx(13_984, abs=0.1)
    assert megabytes < 60  # 7 on Linux; the samples of the gap would be 895


def test_damaged_packets_are_not_all_kept(tmp_path):
    no_aac = b"\xff\xf1\x50\x40\x00\xff\xfc"
    seconds, megabytes = measured(no_aac * 2_300_000, tmp_path / "damaged.aac")
    assert seconds == 0
    assert megabytes < 120  # 61 on Linux; it was 480


@pytest.mark.parametrize("gaps", [(), (1,), (40_000, 2, 70_000)])
def test_pieces_are_put_together_in_their_places(gaps):
    buffer = WaveformBuffer(2)
    expected = []
    for number, gap in enumerate((0, *gaps)):
        if gap:
            buffer.append_gap(gap)
        expected.append(np.zeros((gap, 2)))
        for chunk in (np.full((300, 2), 0.1 * number), np.full((5, 2), [0.5, -0.5])):
            buffer.append(chunk.astype(np.float32))
            expected.append(chunk)
    waveforms = buffer.waveforms()
    assert np.allclose(np.stack(waveforms, axis=1), np.concatenate(expected))
    for waveform in waveforms:
        assert waveform.flags.writeable
        assert waveform.flags.c_contiguous
