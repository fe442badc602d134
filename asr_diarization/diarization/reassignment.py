"""Reassignment of turns: each one goes to the speaker whose embedding it clearly resembles.

Diarization clusters 10 s chunks. Few chunks cover a turn near the ends of a recording, and one that
mixes two voices can give it to the wrong speaker. Therefore every longer turn is embedded by
itself, which costs a tenth of embedding the chunks (docs/quality.md has the gain). The mean of the
speakers' embeddings is subtracted before: it is what they share, such as a telephone line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.diarization.similarity import cosine_similarity, unit_vectors
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
            embedding = _embed_turn(turn, waveform, embed)
            speaker = _best_speaker(turn.speaker, embedding, diarization.embeddings)
            reassigned[turn] = replace(turn, speaker=speaker)
    return _reassigned(diarization, reassigned)


def _embed_turn(turn: Turn, waveform: Waveform, embed: Embed) -> NDArray[np.float32]:
    """The embedding of the turn, or of its beginning."""
    end = min(turn.end, turn.start + MAX_SECONDS)
    return embed(waveform[round(turn.start * SAMPLE_RATE) : round(end * SAMPLE_RATE)])


def _reassigned(diarization: Diarization, reassigned: Mapping[Turn, Turn]) -> Diarization:
    """`diarization` with some turns replaced, the regular ones as the exclusive ones."""
    return replace(
        diarization,
        turns=tuple(reassigned.get(turn, turn) for turn in diarization.turns),
        exclusive=tuple(reassigned.get(turn, turn) for turn in diarization.exclusive),
    )


def _best_speaker(
    current: str, embedding: NDArray[np.float32], speakers: Mapping[str, tuple[float, ...]]
) -> str:
    """The most similar speaker if its margin over the `current` one is large enough."""
    vectors = unit_vectors(np.array(list(speakers.values()), dtype=np.float64))
    shared = vectors.mean(axis=0)
    own = unit_vectors(embedding.astype(np.float64)) - shared
    cosines = cosine_similarity(own, vectors - shared).tolist()
    similarity = dict(zip(speakers, cosines, strict=True))
    best = max(similarity, key=similarity.__getitem__)
    return best if similarity[best] > similarity.get(current, -1.0) + MIN_MARGIN else current


def meet_number(
    diarization: Diarization, waveform: Waveform, embed: Embed, wanted: int
) -> Diarization:
    """`diarization` with at least `wanted` speakers if it has as many exclusive turns.

    Each missing speaker gets the turn that resembles its own speaker least; a longer one if there
    is any. Nothing changes where nobody speaks.
    """
    missing = wanted - len({turn.speaker for turn in diarization.turns})
    turns, vectors = diarization.exclusive, dict(diarization.embeddings)
    if missing <= 0 or not turns:
        return diarization
    found = {turn: _embed_turn(turn, waveform, embed) for turn in turns}
    reassigned: dict[Turn, Turn] = {}
    for _ in range(missing):
        counts = Counter(reassigned.get(turn, turn).speaker for turn in turns)
        free = [turn for turn in turns if turn not in reassigned and counts[turn.speaker] > 1]
        if not free:
            break
        odd = max(free, key=lambda turn: _oddness(turn, found[turn], vectors))
        name = next(n for n in map("SPEAKER_{:02d}".format, count()) if n not in counts)
        reassigned[odd] = replace(odd, speaker=name)
        if np.isfinite(found[odd]).all():
            vectors[name] = tuple(float(value) for value in found[odd])
    given = _reassigned(diarization, reassigned)
    alone = tuple(sorted({*given.turns, *reassigned.values()}))  # some are within a regular turn
    return replace(given, turns=alone, embeddings=vectors)


def _oddness(
    turn: Turn, embedding: NDArray[np.float32], speakers: Mapping[str, tuple[float, ...]]
) -> tuple[bool, float, float]:
    """What to sort turns by: the last is longer, unlike its speaker and, on a tie, longest."""
    seconds = turn.end - turn.start
    own = speakers.get(turn.speaker)
    if own is None or not np.isfinite(embedding).all():
        return seconds >= MIN_SECONDS, -1.0, seconds
    similarity = cosine_similarity(embedding.astype(np.float64), np.array([own]))
    return seconds >= MIN_SECONDS, -float(similarity[0]), seconds
