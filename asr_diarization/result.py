"""What a recording gave, before it becomes a transcript."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from asr_diarization.audio.evidence import believed
from asr_diarization.audio.windows import Stretch, Window
from asr_diarization.merging import assign_speakers
from asr_diarization.protocols import OnProgress, Progress
from asr_diarization.transcript import Diarization, Segment


@dataclass(frozen=True, slots=True)
class Result:
    """Segments with speakers, and the diarization behind them."""

    diarization: Diarization
    segments: tuple[Segment, ...]
    windows: tuple[Window, ...]
    """What was transcribed."""
    stats: Mapping[str, object]

    def renamed(self, names: Mapping[str, str]) -> Result:
        """The same result; speakers in `names` get new names."""
        if not names:
            return self
        segments = tuple(segment.renamed(names) for segment in self.segments)
        return replace(self, diarization=self.diarization.renamed(names), segments=segments)

    def numbered(self) -> Result:
        """The same result; speakers are SPEAKER_00, SPEAKER_01 ... in order of first segment.

        Speakers without a segment come last.
        """
        with_segments = [s.speaker for s in self.segments if s.speaker is not None]
        with_turns = [turn.speaker for turn in self.diarization.turns]
        speakers = dict.fromkeys((*with_segments, *with_turns, *self.diarization.embeddings))
        return self.renamed({name: f"SPEAKER_{n:02d}" for n, name in enumerate(speakers)})


def merge(
    diarization: Diarization | None,
    segments: Iterable[Segment],
    speech: Sequence[Stretch],
    windows: tuple[Window, ...],
    stats: Mapping[str, object],
) -> Result:
    """The believed segments with their speakers; no turns if only the diarization hears speech.

    Args:
        diarization: None if nothing was diarized.
        segments: sorted by start, without speakers.
        speech: what the detector heard.
        windows: what was transcribed.
        stats: figures about the run.
    """
    segments = believed(segments, speech, None if diarization is None else diarization.turns)
    if diarization is None or not (segments or speech):
        diarization = Diarization()
    segments = assign_speakers(segments, diarization.exclusive)
    return Result(diarization, segments, windows, stats).numbered()


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


def main_language(segments: Sequence[Segment]) -> str | None:
    """The language of most of the speech."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for segment in segments:
        if segment.language is not None:
            seconds[segment.language] += max(segment.end - segment.start, 1e-3)
    return max(seconds, key=seconds.__getitem__, default=None)
