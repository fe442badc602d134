"""The stages of the work on a recording: how long each takes, and where each can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

from asr_diarization.protocols import OnProgress, Progress


class StageTimer:
    """Wall seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def end(self, stage: str) -> None:
        """Note the time since the stage before ended."""
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 3)
        self._last = now


def stopping_point(stage: str, on_progress: OnProgress) -> Callable[[], None]:
    """A function for a stage to call again and again; it raises what `on_progress` raises."""
    progress = Progress(stage, 0, 1)
    return lambda: on_progress(progress)
