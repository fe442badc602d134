"""Text that may be wrong is named, with its times; text that is right is not."""

from __future__ import annotations

import pytest

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Segment, Word
from asr_diarization.warnings.answer import doubtful_text, has_foreign_script

PLAIN = InferenceConfig()


def said(text, start=0.0, end=2.0, probability=0.9, language="en"):
    return Segment(start, end, text, (Word(text, start, end, probability),), language=language)


@pytest.mark.parametrize(
    ("text", "language", "foreign"),
    [
        ("Grüße, naïve cafés: 100 %", "de", False),
        ("ועש דמנש", "de", True),
        ("ועש דמנש", "yi", False),
        ("one слово", "en", True),
        ("слово о Windows", "ru", False),
        ("com monity in user", "zh", True),
        ("iPhone 15 Pro", "zh", False),
        ("我们都喜欢用iPhone", "zh", False),
        ("キャンプの外れ", "ja", False),
        ("キャンプ", "zh", True),
        ("хвала и hvala", "sr", False),
        ("hvala", "sr", False),
        ("नमस्ते", "hi", False),
        ("123 ...", "ru", False),
        ("", "en", False),
    ],
)
def test_scripts_of_languages(text, language, foreign):
    assert has_foreign_script(text, language) is foreign


def test_a_foreign_script_is_named_with_its_language_and_times():
    segments = [said("well"), said("ועש דמנש", 7.5, 11.8), said("слово", 12, 13, language=None)]
    (warning,) = doubtful_text(segments, PLAIN)
    assert "7.5 to 11.8 s" in warning
    assert "'en'" in warning
    assert "12.0" not in warning


def test_a_translation_is_in_english():
    segments = [said("good day to everybody", language="ru")]
    assert "script" in doubtful_text(segments, PLAIN)[0]
    assert doubtful_text(segments, InferenceConfig(task="translate")) == ()


def test_broken_characters_are_named():
    (warning,) = doubtful_text([said("caf\ufffd", 1, 2)], PLAIN)
    assert "U+FFFD" in warning
    assert "1.0 to 2.0 s" in warning


def test_a_low_confidence_is_named_when_it_lasts():
    low = [said("a", 0, 2, 0.4), said("b", 2, 4, 0.3), said("c", 4, 6, 0.9), said("d", 6, 8, 0.1)]
    (warning,) = doubtful_text(low, PLAIN)
    assert warning.startswith("the text at 0.0 to 4.0 s has a low confidence")
    assert doubtful_text([said("a", 0, 9, 0.46)], PLAIN) == ()
    assert doubtful_text([Segment(0, 9, "no words")], PLAIN) == ()


def test_many_times_are_counted():
    many = [said("\ufffd", i, i + 1) for i in range(7)]
    assert "4.0 to 5.0 s and 2 more" in doubtful_text(many, PLAIN)[0]
