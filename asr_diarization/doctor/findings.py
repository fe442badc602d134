"""What checks find, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    """What was looked at: `versions`, `HF_TOKEN`, a repository."""
    is_ok: bool
    text: str
    """What was found; for a fault, one sentence with the way out."""


def good(subject: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, True, text)


def bad(subject: str, text: str) -> Finding:
    """Something that keeps the models from loading, or will soon."""
    return Finding(subject, False, text)


def faults(findings: Iterable[Finding]) -> list[Finding]:
    """Those that are not well."""
    return [finding for finding in findings if not finding.is_ok]


def paragraph(found: Iterable[Finding]) -> str:
    """All faults as one paragraph, numbered when there are several."""
    texts = [" ".join(finding.text.split()) for finding in faults(found)]
    if len(texts) < 2:
        return "".join(texts)
    listed = "; ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))
    return f"{len(texts)} things keep this from starting: {listed}"
