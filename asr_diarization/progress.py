"""How long work tells its door how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from diarization_utils import Segment

if TYPE_CHECKING:  # doors that only show progress run where no audio library does
    from asr_diarization.audio.decode import Waveform


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come: `done` of `total`, in whatever the stage counts."""

    stage: str
    """`decode`, `diarize` or `transcribe`."""
    done: float
    total: float
    segments: tuple[Segment, ...] = ()
    """What was newly transcribed, its speakers not yet known."""
    waveforms: tuple[Waveform, ...] = field(default=(), repr=False, compare=False)
    """What was decoded, with that stage: one, or one for each channel heard apart."""


OnProgress = Callable[[Progress], None]
"""Called after every batch; whatever it raises stops the work there."""


def ignore_progress(_: Progress) -> None:
    """For callers who only want the result."""
