"""Rounding: every format is made of whole milliseconds, so all can be written from the JSON."""

from __future__ import annotations


def seconds(value: float) -> float:
    """A time with three decimals."""
    return round(value, 3)


def milliseconds(value: float) -> int:
    """A time in whole milliseconds."""
    return round(seconds(value) * 1000)


def rounded(value: float) -> float:
    """A number with three decimals."""
    return round(value, 3)


def rounded_if_known(value: float | None) -> float | None:
    """A number with three decimals; None stays None."""
    return None if value is None else rounded(value)
