"""Progress bars, one for each step, below each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Show(Protocol):
    """Moves the bar of a step, which appears when the step is first named."""

    def __call__(self, step: str, done: float, total: float) -> None:
        """Show that `done` of `total` is done."""
        ...


@contextmanager
def bars(**options: Any) -> Iterator[Show]:
    """Bars with these options of tqdm; they are closed at the end."""
    from tqdm import tqdm

    shown: dict[str, tqdm] = {}

    def show(step: str, done: float, total: float) -> None:
        if step not in shown:
            shown[step] = tqdm(total=total, desc=step, **options)
        shown[step].update(done - shown[step].n)

    try:
        yield show
    finally:
        # The last one first: tqdm moves the lowest bar up into the line of one that is closed.
        for bar in reversed(shown.values()):
            bar.close()
