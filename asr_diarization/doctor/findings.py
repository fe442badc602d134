"""Findings: the results of checks, and the message about all problems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    """The thing that was checked: `versions`, `HF_TOKEN`, a repository."""
    is_ok: bool
    text: str
    """The result; for a problem, one sentence that also says how to solve it."""


def good(subject: str, text: str) -> Finding:
    """A check that found no problem."""
    return Finding(subject, True, text)


def bad(subject: str, text: str) -> Finding:
    """A problem: the models cannot be loaded, or will soon fail to load."""
    return Finding(subject, False, text)


def problems(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that are not ok."""
    return [finding for finding in findings if not finding.is_ok]


def paragraph(found: Iterable[Finding]) -> str:
    """All problems as one paragraph, numbered when there are several."""
    texts = [" ".join(finding.text.split()) for finding in problems(found)]
    if len(texts) < 2:
        return "".join(texts)
    listed = "; ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))
    return f"{len(texts)} problems keep this from starting: {listed}"
