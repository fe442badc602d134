"""Whisper's text normalisation: spelling and punctuation are not counted as errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

SPELLINGS = Path(__file__).with_name("spellings.json")
"""British to American, from openai/whisper (MIT licence), `whisper/normalizers/english.json`."""
WITHOUT_SPACES = frozenset({"ja", "zh", "yue", "th", "lo", "my", "km"})
"""Languages without spaces between words; their characters are counted instead of words."""


@cache
def normalizer(language: str | None) -> Callable[[str], list[str]]:
    """A function from text in `language` to the words that are compared."""
    if language == "en":
        english = EnglishTextNormalizer(json.loads(SPELLINGS.read_text(encoding="utf-8")))
        return lambda text: english(text).split()
    basic = BasicTextNormalizer(split_letters=language in WITHOUT_SPACES)
    return lambda text: basic(text).split()
