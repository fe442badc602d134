"""The spellings of a language that callers use, and the one of Whisper."""

from __future__ import annotations

import pytest

from asr_diarization.errors import InvalidParameterError
from asr_diarization.whisper.language_codes import find_code
from asr_diarization.whisper.vocabulary import Vocabulary

KNOWN = ("en", "pt", "zh", "de", "ja", "no", "he", "jw", "ht")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("en", "en"),
        (" EN ", "en"),
        ("<|en|>", "en"),
        ("English", "en"),
        ("mandarin", "zh"),
        ("haitian creole", "ht"),
        ("en-US", "en"),
        ("pt_BR", "pt"),
        ("pt_BR.UTF-8", "pt"),
        ("zh-CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger-AT", "de"),
        ("cmn", "zh"),
        ("yue", "zh"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("jv", "jw"),
    ],
)
def test_every_spelling_has_whispers_code(given, code):
    assert find_code(given, KNOWN) == code


def test_cantonese_has_a_code_of_its_own_where_the_model_knows_it():
    assert find_code("yue", (*KNOWN, "yue")) == "yue"


@pytest.mark.parametrize("given", ["klingon", "xx", "xx-US", "fr", "fra", "english-US", "", "e"])
def test_no_other_language_is_guessed(given):
    assert find_code(given, KNOWN) is None


def test_a_refusal_names_what_was_given_and_what_is_known():
    vocabulary = Vocabulary(1, 2, 3, 4, 5, {}, {"en": 6, "de": 7}, (), 50, None)
    assert vocabulary.language_code("de-CH") == "de"
    with pytest.raises(InvalidParameterError, match=r"language 'fr-CA' is not .* knows de, en$"):
        vocabulary.language_code("fr-CA")
