"""Reassignment of turns: each one goes to the speaker whose embedding it clearly resembles.

Diarization clusters 10 s chunks. Few chunks cover a turn near the ends of a recording, and one that
mixes two voices can give it to the wrong speaker. Therefore every longer turn is embedded by
itself, which costs a tenth of embedding the chunks (docs/quality.md has the gain).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.diarization.similarity import cosine_similarity
from asr_diarization.transcript import Diarization, Turn

MIN_SECONDS = 0.6
"""Shorter turns say too little about a voice."""
MAX_SECONDS = 10.0
"""Of longer turns the beginning is enough."""
MIN_MARGIN = 0.2
"""Another speaker must be more similar by more than this cosine."""

Embed = Callable[[Waveform], NDArray[np.float32]]
"""The embedding, (dimension,), of a waveform."""


def reassign_turns(
    diarization: Diarization,
    waveform: Waveform,
    embed: Embed,
    on_turn: Callable[[], None] = lambda: None,
) -> Diarization:
    """`diarization` with each turn given to the speaker it clearly resembles.

    Exclusive turns are compared; a regular turn follows the exclusive one with the same times.
    `on_turn` is called before each; an exception it raises stops the work.
    """
    if len(diarization.embeddings) < 2:
        return diarization
    reassigned: dict[Turn, Turn] = {}
    for turn in diarization.exclusive:
        on_turn()
        if turn.end - turn.start >= MIN_SECONDS:
            start, end = turn.start, min(turn.end, turn.start + MAX_SECONDS)
            embedding = embed(waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])
            speaker = _best_speaker(turn.speaker, embedding, diarization.embeddings)
            reassigned[turn] = replace(turn, speaker=speaker)
    return replace(
        diarization,
        turns=tuple(reassigned.get(turn, turn) for turn in diarization.turns),
        exclusive=tuple(reassigned.get(turn, turn) for turn in diarization.exclusive),
    )


def _best_speaker(
    current: str, embedding: NDArray[np.float32], speakers: Mapping[str, tuple[float, ...]]
) -> str:
    """The most similar speaker if its margin over the `current` one is large enough."""
    vectors = np.array(list(speakers.values()))
    cosines = cosine_similarity(embedding.astype(np.float64), vectors).tolist()
    similarity = dict(zip(speakers, cosines, strict=True))
    best = max(similarity, key=similarity.__getitem__)
    return best if similarity[best] > similarity.get(current, -1.0) + MIN_MARGIN else current
