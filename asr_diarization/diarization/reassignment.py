"""A second look at turns: does each one sound like the speaker it was given to?

Diarization clusters 10 s chunks; near the ends of a recording few chunks cover a turn, and one that
mixes two voices can give it to the wrong one. So every longer turn is embedded by itself, which
costs a tenth of what the chunks did, and goes to another speaker if it clearly sounds like that one
(docs/quality.md has the gain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.transcript import Diarization, Turn

MIN_SECONDS = 0.6
"""Shorter turns say too little about a voice."""
MAX_SECONDS = 10.0
"""Of longer turns the beginning is enough."""
MARGIN = 0.2
"""By so much cosine similarity another speaker must fit better."""

Embed = Callable[[Waveform], NDArray[np.float32]]
"""A voice as a vector of any length."""


def look_again(
    diarization: Diarization,
    waveform: Waveform,
    embed: Embed,
    on_turn: Callable[[], None] = lambda: None,
) -> Diarization:
    """`diarization` with turns moved to the speaker whose voice they clearly have.

    Exclusive turns are judged; a regular turn follows the exclusive one with the same times.
    `on_turn` is called before each; what it raises stops the work.
    """
    if len(diarization.embeddings) < 2:
        return diarization
    moved: dict[Turn, Turn] = {}
    for turn in diarization.exclusive:
        on_turn()
        if turn.end - turn.start >= MIN_SECONDS:
            first, last = turn.start, min(turn.end, turn.start + MAX_SECONDS)
            voice = embed(waveform[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)])
            moved[turn] = replace(turn, speaker=_recognise(turn, voice, diarization.embeddings))
    return replace(
        diarization,
        turns=tuple(moved.get(turn, turn) for turn in diarization.turns),
        exclusive=tuple(moved.get(turn, turn) for turn in diarization.exclusive),
    )


def _recognise(
    turn: Turn, voice: NDArray[np.float32], known: Mapping[str, tuple[float, ...]]
) -> str:
    """The speaker of `turn`: its own unless another's vector is closer by more than the margin."""
    similarity = {name: _cosine(voice, np.asarray(vector)) for name, vector in known.items()}
    best = max(similarity, key=similarity.__getitem__)
    own = similarity.get(turn.speaker, -1.0)
    return best if similarity[best] > own + MARGIN else turn.speaker


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(a @ b / max(1e-9, float(np.linalg.norm(a) * np.linalg.norm(b))))
