"""Texts as lists of words, and their similarity."""

from __future__ import annotations

import re
from difflib import SequenceMatcher


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"[\w']+", text.lower())


def likeness(a: str, b: str) -> float:
    """1.0 for the same words in the same order, 0.0 for none in common."""
    return SequenceMatcher(None, words(a), words(b), autojunk=False).ratio()
