"""The one place that rounds: every format is made of whole milliseconds.

So whoever has the JSON can write all other formats from it.
"""

from __future__ import annotations


def seconds(value: float) -> float:
    """A time with three decimals."""
    return round(value, 3)


def milliseconds(value: float) -> int:
    """A time in whole milliseconds."""
    return round(seconds(value) * 1000)


def rounded(value: float | None) -> float | None:
    """A number with three decimals; None stays None."""
    return None if value is None else round(value, 3)
