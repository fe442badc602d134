"""Key terms with a real model: a name is spelled as told, and never invented."""

from __future__ import annotations

import pytest

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.audio.windows import Stretch, Window
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError
from asr_diarization.whisper import transcriber as module
from asr_diarization.whisper.transcriber import WhisperTranscriber
from tests.support.oracle import load
from tests.support.texts import words

NOT_SAID = ("Anneliese", "Kubernetes", "Okonkwo", "Szymborska", "Tesfaye")


@pytest.fixture(scope="module")
def transcriber(models_dir):
    """In float32."""
    return WhisperTranscriber(load(models_dir / "whisper-base").ours)


@pytest.fixture
def hear(transcriber, data_dir):
    def hear(pieces, **parameters):
        """The words of each (file, start, end)."""
        windows = []
        for name, start, end in pieces:
            waveform = decode_audio((data_dir / name).read_bytes(), max_seconds=100.0)
            piece = Stretch(start, min(end, len(waveform) / SAMPLE_RATE))
            windows.append(Window(waveform, (piece,)))
        config = InferenceConfig(language="en", **parameters)
        heard = transcriber.transcribe(windows, config).windows
        return [words(" ".join(segment.text for segment in found)) for found in heard]

    return hear


READING = ("dialogues/d1_1min_2spk.flac", 0, 9)
NO_NAMES = (
    ("nonspeech/applause_8s.wav", 0, 8),
    ("nonspeech/silence_5s.flac", 0, 5),
    ("formats/sample.m4a", 6.5, 8.0),
    ("formats/sample.m4a", 8.0, 11.0),
    ("formats/sample1.flac", 0, 7.2),
)


def test_a_name_is_spelled_as_told(hear):
    ((before,), (after,)) = hear([READING]), hear([READING], keyterms=("Helstone", *NOT_SAID))
    assert "helstone" not in before
    assert [word for word in after if word != "helstone"] == [
        word for word in before if word != "houston"
    ]
    assert "helstone" in after
    (both,) = hear([READING], keyterms=["Helstone"], initial_prompt="A novel.")
    assert "helstone" in both


def test_nothing_is_written_that_only_the_prompt_says(hear, monkeypatch):
    expected = hear(NO_NAMES)
    assert hear(NO_NAMES, keyterms=NOT_SAID) == expected
    monkeypatch.setattr(module, "correct", lambda plain, prompted, *_: prompted)
    assert hear(NO_NAMES, keyterms=NOT_SAID) != expected


def test_too_many_terms_are_refused_before_any_work(transcriber):
    with pytest.raises(InvalidParameterError, match=r"keyterms are \d+ tokens of Whisper"):
        transcriber.check(InferenceConfig(keyterms=["Szymborska Brzezinski Okonkwo"] * 50))
