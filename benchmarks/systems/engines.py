"""Measures one engine in its own process: start-up, answers and their cost.

    python -m benchmarks.systems.engines ENGINE --models DIRECTORY --threads N FILE...

prints one line of JSON. `benchmarks.speed` starts it with the thread variables already set.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
"""Taken before torch and the other libraries are imported: importing is part of the start-up."""
WARM_UP_SECONDS = 6.0
MAX_SECONDS = 4 * 3600.0

Answer = dict[str, Any]
"""`texts`: transcribed texts in order; `turns`: lists [start, end, speaker]. One may be missing."""
Engine = Callable[[bytes], Answer]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that work took in this process and its children."""

    wall: float
    cpu: float

    @staticmethod
    def now() -> Cost:
        """The cost since the process began."""
        own, children = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        cpu = sum(one.ru_utime + one.ru_stime for one in (own, children))
        return Cost(time.perf_counter() - STARTED, cpu)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.systems.engines", description=__doc__
    )
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    engine = ENGINES[options.engine](options.models, options.threads)
    ready, loaded = Cost.now(), peak_megabytes()
    # The first call also initializes the libraries; that is not the cost of a recording.
    engine(beginning(options.files[0].read_bytes()))
    answers, costs = [], []
    for path in options.files:
        data = path.read_bytes()
        before = Cost.now()
        answers.append(engine(data))
        costs.append(Cost.now() - before)
    result = {
        "ready": {"wall": ready.wall, "cpu": ready.cpu},
        "costs": [{"wall": cost.wall, "cpu": cost.cpu} for cost in costs],
        "loaded_megabytes": loaded,
        "peak_megabytes": peak_megabytes(),
        "answers": answers,
    }
    print(json.dumps(result))


def peak_megabytes() -> float:
    """Peak memory of this process.

    Linux's `ru_maxrss` would include the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def beginning(data: bytes) -> bytes:
    """The first seconds of a recording, as a wav file."""
    from asr_diarization.audio.decode import SAMPLE_RATE
    from benchmarks.recordings import wav_bytes

    return wav_bytes(_decode(data)[: round(WARM_UP_SECONDS * SAMPLE_RATE)])


def _decode(data: bytes) -> Any:
    from asr_diarization.audio.decode import decode_audio

    return decode_audio(data, max_seconds=MAX_SECONDS)


def _texts(segments: Any) -> Answer:
    return {"texts": [segment.text for segment in segments]}


def _turns(turns: Any) -> Answer:
    return {"turns": [[turn.start, turn.end, turn.speaker] for turn in turns]}


def seed_words(beams: int | None) -> Callable[[Path, int], Engine]:
    """transformers' pipeline, called as in the seed."""

    def load(models: Path, _: int) -> Engine:
        from benchmarks.systems.seed import SeedTranscriber

        seed = SeedTranscriber(models, beams=beams)
        return lambda data: _texts(seed.transcribe(_decode(data)))

    return load


def faster_whisper(compute_type: str) -> Callable[[Path, int], Engine]:
    """faster-whisper's batched pipeline."""

    def load(models: Path, threads: int) -> Engine:
        from benchmarks.systems.fasterwhisper import FasterWhisper

        whisper = FasterWhisper(models, compute_type, threads=threads)
        return lambda data: _texts(whisper.transcribe(_decode(data)))

    return load


def our_words(precision: str) -> Callable[[Path, int], Engine]:
    """Our pipeline without a diarizer: decoding, voice activity detection, words with times."""

    def load(models: Path, _: int) -> Engine:
        from asr_diarization.assembly import load_pipeline
        from asr_diarization.config import ModelSettings

        settings = ModelSettings(
            asr_model=str(models / "whisper-base"),
            assistant_model=None,
            diarization_model=None,
            device="cpu",
            precision=precision,
        )
        pipeline = load_pipeline(settings)
        return lambda data: _texts(pipeline(data).segments)

    return load


def stock_turns(models: Path, _: int) -> Engine:
    """pyannote without any of our code."""
    from benchmarks.systems.stock import StockDiarizer

    diarizer = StockDiarizer(models)
    return lambda data: _turns(diarizer.diarize(_decode(data)).turns)


def our_turns(models: Path, _: int) -> Engine:
    """Our adapter of the same pipeline, without reassignment."""
    import torch

    from asr_diarization.config import InferenceConfig
    from asr_diarization.diarization.diarizer import PyannoteDiarizer

    diarizer = PyannoteDiarizer(str(models / "diarization"), torch.device("cpu"))
    return lambda data: _turns(diarizer.run_pyannote(_decode(data), InferenceConfig()).turns)


def seed_request(models: Path, _: int) -> Engine:
    """The seed's whole request: words, turns, merging."""
    from benchmarks.systems.seed import SeedTranscriber, seed_merge
    from benchmarks.systems.stock import StockDiarizer

    seed, diarizer = SeedTranscriber(models), StockDiarizer(models)

    def answer(data: bytes) -> Answer:
        waveform = _decode(data)
        chunks = seed.transcribe(waveform)
        turns = diarizer.diarize(waveform).turns
        return _texts(seed_merge(chunks, turns)) | _turns(turns)

    return answer


def our_request(models: Path, _: int) -> Engine:
    """Our whole request, through the handler."""
    settings = {"ASR_MODEL": "whisper-base", "DIARIZATION_MODEL": "diarization"}
    os.environ.update({name: str(models / model) for name, model in settings.items()})
    from handler import EndpointHandler

    handler = EndpointHandler()

    def answer(data: bytes) -> Answer:
        response = handler({"inputs": data, "parameters": {}})
        turns = [[turn["start"], turn["end"], turn["speaker"]] for turn in response["turns"]]
        return {"texts": [chunk["text"] for chunk in response["chunks"]], "turns": turns}

    return answer


ENGINES: dict[str, Callable[[Path, int], Engine]] = {
    "seed-words": seed_words(1),
    "seed-words-beams": seed_words(None),
    "faster-whisper-float32": faster_whisper("float32"),
    "faster-whisper-int8": faster_whisper("int8"),
    "our-words-float32": our_words("float32"),
    "our-words": our_words("auto"),
    "stock-turns": stock_turns,
    "our-turns": our_turns,
    "seed-request": seed_request,
    "our-request": our_request,
}

if __name__ == "__main__":
    main()
