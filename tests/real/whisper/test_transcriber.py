"""Windows to words: batches of several recordings, and cuts that cost no word."""

from __future__ import annotations

import json
from difflib import SequenceMatcher

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.audio.vad import SileroDetector
from asr_diarization.audio.windows import Stretch, Window, WindowRules, cut_windows, find_speech
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError
from asr_diarization.merging import join_texts
from asr_diarization.transcript import Segment
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.transcriber import WhisperTranscriber, _rest_to_decode
from tests.support.oracle import load
from tests.support.texts import likeness, words

RULES = WindowRules()
DIALOGUE = "dialogues/d1_1min_2spk"


@pytest.fixture(scope="module")
def transcriber(models_dir):
    """In float32."""
    return WhisperTranscriber(load(models_dir / "whisper-base").ours)


def decoded(path):
    return decode_audio(path.read_bytes(), max_seconds=100.0)


def whole(waveform):
    return Window(waveform, (Stretch(0, len(waveform) / SAMPLE_RATE),))


@pytest.fixture(scope="module")
def windows_of(data_dir):
    """The dialogue in windows of at most so many seconds."""
    waveform = decoded(data_dir / f"{DIALOGUE}.flac")
    probabilities = SileroDetector().probabilities(waveform)
    speech = find_speech(probabilities, len(waveform) / SAMPLE_RATE, RULES)
    return lambda seconds: cut_windows(waveform, speech, probabilities, seconds, RULES)


def text(*segments):
    return join_texts([segment.text for segment in segments])


def test_what_is_heard_again_is_shorter_each_time():
    window = Window(np.zeros(20 * SAMPLE_RATE, np.float32), (Stretch(0, 20),))
    assert _rest_to_decode(window, [Segment(2.0, 9.0, "so far")]).duration == 11
    assert _rest_to_decode(window, [Segment(0.0, 0.0, "not far")]) is None
    assert _rest_to_decode(window, [Segment(0.0, 18.0, "nearly all")]) is None
    assert _rest_to_decode(window, []) is None


def test_recordings_that_share_a_batch_do_not_mix(transcriber, data_dir):
    names = ("sample1.flac", "fr-FR_Narrowband_sample1.wav", "sample1.mp3")
    windows = [whole(decoded(data_dir / "formats" / name)) for name in names]
    windows.append(whole(decoded(data_dir / "multilingual/13697_11991_000000.opus")))
    together = transcriber.transcribe(windows, InferenceConfig(batch_size=4)).windows
    for window, segments in zip(windows, together, strict=True):
        (alone,) = transcriber.transcribe([window], InferenceConfig()).windows
        assert text(*segments) == text(*alone)
        assert [s.start for s in segments] == pytest.approx([s.start for s in alone], abs=0.05)
        assert all(0 <= s.start <= s.end <= window.end for s in segments)
    assert [segments[0].language for segments in together] == ["en", "fr", "en", "es"]


def test_a_language_is_chosen_among_those_allowed(transcriber, data_dir):
    """Each window keeps its own language; none gets one that is not in the list."""
    names = ("formats/sample1.flac", "multilingual/13697_11991_000000.opus")
    windows = [whole(decoded(data_dir / name)) for name in names]
    for allowed, expected in (
        (["en-US", "spa"], ["en", "es"]),
        (["pt_BR", "deu"], ["de", "pt"]),
        (["es"], ["es", "es"]),
    ):
        heard = transcriber.transcribe(windows, InferenceConfig(languages=allowed)).windows
        assert [segments[0].language for segments in heard] == expected
    with pytest.raises(InvalidParameterError, match="language 'klingon' is not known"):
        transcriber.check(InferenceConfig(languages=["en", "klingon"]))


def test_a_window_that_fails_is_decoded_again_by_itself(transcriber, data_dir, monkeypatch):
    """Its sound and its prefix go with it, at rising temperatures, until an attempt passes."""
    names = ("formats/sample1.flac", "multilingual/13697_11991_000000.opus")
    windows = [whole(decoded(data_dir / name)) for name in names]
    expected = transcriber.transcribe(windows, InferenceConfig()).windows
    decoder, calls = transcriber._decoder, []
    decode, vocabulary = decoder.decode, decoder.vocabulary

    def failing(cache, prefixes, temperature=0.0, drafter=None):
        calls.append((temperature, prefixes))
        found = decode(cache, prefixes)
        if temperature == 0.0:
            found[1] = Decoded((vocabulary.first_timestamp, *(30 * [1000])), (-0.1,) * 31, True)
        if temperature == 0.2:
            found = [Decoded(found[0].tokens, (-2.0,) * len(found[0].log_probabilities))]
        return found

    monkeypatch.setattr(decoder, "decode", failing)
    found = transcriber.transcribe(windows, InferenceConfig()).windows
    assert [text(*segments) for segments in found] == [text(*segments) for segments in expected]
    english, spanish = (vocabulary.prefix(code, "transcribe") for code in ("en", "es"))
    assert calls == [(0.0, [english, spanish]), (0.2, [spanish]), (0.4, [spanish])]


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|startofprev|>", "<|ja|>", "<|1.00|>"])
def test_a_prompt_cannot_steer_the_decoder(transcriber, mark):
    with pytest.raises(InvalidParameterError, match="initial_prompt must be plain text"):
        transcriber.check(InferenceConfig(initial_prompt=f"Names {mark} and more"))
    transcriber.check(InferenceConfig(initial_prompt="Names < | and > more |"))


@pytest.mark.parametrize("seconds", [8.0, 15.0, 28.0])
def test_no_word_is_lost_or_doubled_at_a_cut(transcriber, windows_of, data_dir, seconds):
    reference = json.loads((data_dir / f"{DIALOGUE}.json").read_text())
    said = words(" ".join(segment["text"] for segment in reference["segments"]))
    windows = windows_of(seconds)
    assert len(windows) >= 60 / seconds
    heard = transcriber.transcribe(windows, InferenceConfig(language="en")).windows
    found = words(text(*(segment for window in heard for segment in window)))
    changes = SequenceMatcher(None, said, found, autojunk=False).get_opcodes()
    assert sum(j - i for what, _, _, i, j in changes if what == "insert") <= 2
    assert sum(j - i for what, i, j, _, _ in changes if what == "delete") <= 2
    assert len(found) == pytest.approx(len(said), abs=4)


def test_the_whole_is_its_windows(transcriber, windows_of):
    windows = windows_of(28.0)
    together = transcriber.transcribe(windows, InferenceConfig(language="en")).windows
    for window, segments in zip(windows, together, strict=True):
        alone = whole(window.samples())
        (apart,) = transcriber.transcribe([alone], InferenceConfig(language="en")).windows
        assert likeness(text(*segments), text(*apart)) > 0.95
        for a, b in zip(segments, apart, strict=True):
            assert a.start == pytest.approx(window.to_recording(b.start), abs=0.5)
