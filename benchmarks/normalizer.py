"""Whisper's own text normalisation, so that spelling and punctuation are not counted as errors."""

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
"""Their words are not written apart; their characters are counted instead."""


@cache
def normalizer(language: str | None) -> Callable[[str], list[str]]:
    """What turns text in `language` into the words that are compared."""
    if language == "en":
        english = EnglishTextNormalizer(json.loads(SPELLINGS.read_text(encoding="utf-8")))
        return lambda text: english(text).split()
    basic = BasicTextNormalizer(split_letters=language in WITHOUT_SPACES)
    return lambda text: basic(text).split()
