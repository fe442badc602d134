"""The blog post's handler (https://huggingface.co/blog/asr-diarization), the seed of this project.

Its algorithm is rewritten here as a baseline, faults included: transformers' ASR pipeline in fixed
windows of 30 s, pyannote on the whole recording, and a merge in which every turn takes all chunks
up to the one that ends nearest to its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform
from asr_diarization.merging import join_texts
from asr_diarization.transcript import Segment, Turn

CHUNK_LENGTH_S = 30
BATCH_SIZE = 24


@dataclass(frozen=True, slots=True)
class Chunk:
    """A text between two of Whisper's timestamps; the last one may have no end."""

    start: float
    end: float | None
    text: str

    @property
    def segment(self) -> Segment:
        """The chunk as a segment; transformers sometimes gives an end before the start."""
        start = max(0.0, self.start)
        return Segment(start, max(start, self.end or start), self.text)


class SeedTranscriber:
    """transformers' pipeline with the seed's settings."""

    def __init__(self, models: Path, *, beams: int | None = 1) -> None:
        """`beams=None` is the library's default: greedy in transformers 4, five beams in 5."""
        from transformers import pipeline
        from transformers.utils import logging

        logging.set_verbosity_error()
        self._beams = {} if beams is None else {"num_beams": beams}
        self._pipeline = pipeline(
            "automatic-speech-recognition",
            model=str(models / "whisper-base"),
            dtype=torch.float32,
            device="cpu",
        )

    def transcribe(self, waveform: Waveform, language: str | None = None) -> tuple[Chunk, ...]:
        """The chunks of a recording, in order."""
        outputs = self._pipeline(
            {"raw": waveform, "sampling_rate": SAMPLE_RATE},
            chunk_length_s=CHUNK_LENGTH_S,
            batch_size=BATCH_SIZE,
            return_timestamps=True,
            generate_kwargs={"task": "transcribe", "language": language, **self._beams},
        )
        return tuple(
            Chunk(float(chunk["timestamp"][0] or 0.0), chunk["timestamp"][1], chunk["text"])
            for chunk in outputs["chunks"]
        )


def seed_turns(turns: Sequence[Turn]) -> list[Turn]:
    """Consecutive turns of one speaker joined; each reaches to the beginning of the next.

    Raises:
        IndexError: nobody speaks.
    """
    runs = [tuple(run) for _, run in groupby(turns, lambda turn: turn.speaker)]
    last = turns[-1]  # the seed fails here on silence
    starts = [run[0].start for run in runs]
    ends = [*starts[1:], last.end]
    return [
        Turn(start, max(start, end), run[0].speaker)
        for run, start, end in zip(runs, starts, ends, strict=True)
    ]


def seed_merge(chunks: Sequence[Chunk], turns: Sequence[Turn]) -> tuple[Segment, ...]:
    """Every turn takes at least one chunk; chunks after the last turn are dropped.

    Raises:
        IndexError: nobody speaks.
    """
    ends = np.array([math.inf if chunk.end is None else chunk.end for chunk in chunks])
    ends[np.isinf(ends)] = np.finfo(float).max
    merged: list[Segment] = []
    first = 0
    for turn in seed_turns(turns):
        if first == len(chunks):
            break
        last = first + int(np.argmin(np.abs(ends[first:] - turn.end)))
        merged.append(_join(chunks[first : last + 1], turn.speaker))
        first = last + 1
    return tuple(merged)


def _join(chunks: Sequence[Chunk], speaker: str) -> Segment:
    start, end = chunks[0].segment.start, chunks[-1].segment.end
    text = join_texts(chunk.text for chunk in chunks)
    return Segment(start, max(start, end), text, (), speaker)
