"""Tidy turns: inside the recording, and none of a frame or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asr_diarization.transcript import Diarization, Turn

MIN_SECONDS = 0.1
"""Nobody says anything in less, and pauses as short are none. A frame of the segmentation is
17 ms."""


def tidy(diarization: Diarization, duration: float) -> Diarization:
    """`diarization` without what lies after `duration` seconds, and without the shortest turns.

    The shortest turns go where other turns are left; then turns of one speaker with hardly a pause
    between them are one. Embeddings of speakers without a turn go, too.
    """
    turns = _join(_longer(_clip(diarization.turns, duration)))
    exclusive = _join(_longer(_clip(diarization.exclusive, duration)))
    speakers = {turn.speaker for turn in (*turns, *exclusive)}
    embeddings = {name: v for name, v in diarization.embeddings.items() if name in speakers}
    return replace(diarization, turns=turns, exclusive=exclusive, embeddings=embeddings)


def _clip(turns: Iterable[Turn], duration: float) -> tuple[Turn, ...]:
    return tuple(
        replace(turn, end=min(turn.end, duration)) for turn in turns if turn.start < duration
    )


def _longer(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns that are long enough; all, if none is."""
    return [turn for turn in turns if turn.end - turn.start >= MIN_SECONDS] or turns


def _join(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turns, sorted by start; no pause within one speaker's is as short as `MIN_SECONDS`."""
    joined: list[Turn] = []
    last: dict[str, int] = {}
    for turn in sorted(turns):
        before = last.get(turn.speaker)
        if before is not None and turn.start - joined[before].end < MIN_SECONDS:
            end = max(joined[before].end, turn.end)
            joined[before] = replace(joined[before], end=end)
        else:
            last[turn.speaker] = len(joined)
            joined.append(turn)
    return tuple(joined)
