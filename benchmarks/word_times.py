"""Word times: ours and those of transformers' `return_timestamps="word"`, against human times.

    python -m benchmarks.word_times --data AMI_FOLDER

Both decode the same windows with whisper-base in float32. Errors are medians in milliseconds over
the words that both sides share.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from transformers import pipeline

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.audio.vad import SileroDetector
from asr_diarization.audio.windows import Window, WindowRules, speech_windows
from asr_diarization.config import InferenceConfig
from asr_diarization.devices import choose_device
from asr_diarization.transcript import Segment, Word
from asr_diarization.whisper.checkpoint import load_whisper
from asr_diarization.whisper.transcriber import WhisperTranscriber
from benchmarks.recordings import load_recordings
from benchmarks.reports.tables import table
from benchmarks.scores.normalizer import normalizer
from benchmarks.scores.scoring import word_time_errors
from benchmarks.store import REPOSITORY


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.word_times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = str(REPOSITORY / "tests/data/ami")
    parser.add_argument("--data", nargs="+", default=[folder], help="recordings with word times")
    parser.add_argument("--model", default=str(REPOSITORY / "models/whisper-base"))
    options = parser.parse_args(arguments)
    checkpoint = load_whisper(options.model, choose_device("cpu"), "float32")
    ours, theirs = WhisperTranscriber(checkpoint), _Theirs(options.model)
    parameters, rules = InferenceConfig(language="en"), WindowRules()
    errors: dict[str, list[tuple[Sequence[float], Sequence[float]]]] = {}
    for recording in load_recordings(options.data):
        waveform = recording.waveform()
        probabilities = SileroDetector().probabilities(waveform)
        windows = speech_windows(waveform, probabilities, parameters.chunk_length_s, rules)
        transcribed = ours.transcribe(windows, parameters).windows
        our_segments = [segment for segments in transcribed for segment in segments]
        their_segments = [theirs(window) for window in windows]
        normalize = normalizer(recording.language)
        for title, a, b in (
            ("ours against people", recording.segments, our_segments),
            ("transformers against people", recording.segments, their_segments),
            ("ours against transformers", their_segments, our_segments),
        ):
            errors.setdefault(title, []).append(word_time_errors(a, b, normalize))
    rows = []
    for title, some in errors.items():
        starts, ends = (
            np.array([e for pair in some for e in pair[side]]) * 1000 for side in (0, 1)
        )
        medians = [f"{np.median(times):.0f}" for times in (starts, ends)]
        rows.append([title, str(len(starts)), *medians, f"{np.percentile(starts, 90):.0f}"])
    print(table(["", "words", "start, median ms", "end, median ms", "start, 90 %"], rows))


class _Theirs:
    """transformers' pipeline on one window at a time."""

    def __init__(self, model: str) -> None:
        self._run = pipeline("automatic-speech-recognition", model=model, device="cpu")

    def __call__(self, window: Window) -> Segment:
        samples = {"raw": window.samples(), "sampling_rate": SAMPLE_RATE}
        options = {"language": "en", "task": "transcribe", "num_beams": 1, "do_sample": False}
        chunks = self._run(samples, return_timestamps="word", generate_kwargs=options)["chunks"]
        words = []
        for chunk in chunks:
            start, end = (time if time is not None else 0.0 for time in chunk["timestamp"])
            times = (window.to_recording(start), window.to_recording(max(start, end)))
            words.append(Word(chunk["text"], *times))
        return Segment(window.start, window.end, "".join(w.text for w in words), tuple(words))


if __name__ == "__main__":
    main()
