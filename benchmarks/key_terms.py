"""Key terms: what `keyterms` finds and invents, against the same terms as a plain prompt.

    python -m benchmarks.key_terms --data FOLDER...

Each recording's terms are its reference's rare words (at least five letters, three tokens of
Whisper or more), and ten names that nobody says. Recordings in English are decoded with
whisper-base in float32 without terms, with them as `initial_prompt`, and as `keyterms`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

from asr_diarization.audio.vad import SileroDetector
from asr_diarization.audio.windows import Window, WindowRules, speech_windows
from asr_diarization.config import InferenceConfig
from asr_diarization.devices import choose_device
from asr_diarization.whisper.checkpoint import load_whisper
from asr_diarization.whisper.key_terms import prompt_of
from asr_diarization.whisper.transcriber import WhisperTranscriber
from benchmarks.quality import in_half
from benchmarks.recordings import Recording, load_recordings
from benchmarks.reports.tables import table
from benchmarks.scores.normalizer import normalizer
from benchmarks.scores.scoring import word_errors
from benchmarks.store import REPOSITORY

NOT_SAID = (
    "Anneliese", "Brzezinski", "Kubernetes", "Ledoux", "Okonkwo",
    "Paracetamol", "Quaternion", "Szymborska", "Tesfaye", "Zwolle",
)  # fmt: skip
MIN_LETTERS, MIN_TOKENS = 5, 3
WAYS: dict[str, Callable[[Sequence[str]], InferenceConfig]] = {
    "no terms": lambda _: InferenceConfig(language="en"),
    "initial_prompt": lambda terms: InferenceConfig(language="en", initial_prompt=prompt_of(terms)),
    "keyterms": lambda terms: InferenceConfig(language="en", keyterms=terms),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.key_terms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = str(REPOSITORY / "tests/data/dialogues")
    parser.add_argument("--data", nargs="+", default=[folder], help="recordings with references")
    parser.add_argument("--half", choices=("a", "b"), help="only half of the recordings")
    parser.add_argument("--model", default=str(REPOSITORY / "models/whisper-base"))
    options = parser.parse_args(arguments)
    checkpoint = load_whisper(options.model, choose_device("cpu"), "float32")
    transcriber, tokenizer = WhisperTranscriber(checkpoint), checkpoint.vocabulary.tokenizer

    def is_rare(word: str) -> bool:
        ids = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        return len(word) >= MIN_LETTERS and len(ids) >= MIN_TOKENS

    counts: dict[str, Counter[str]] = {way: Counter() for way in WAYS}
    for recording in load_recordings(options.data):
        if recording.language != "en" or not in_half(recording.name, options.half):
            continue
        said = _text(recording)
        rare = sorted(set(filter(is_rare, re.findall(r"[a-z]+", said.lower()))))
        terms = [*(word.capitalize() for word in rare), *NOT_SAID]
        windows = _windows(recording)
        for way, parameters in WAYS.items():
            found = transcriber.transcribe(windows, parameters(terms)).windows
            heard = " ".join(segment.text for segments in found for segment in segments)
            counts[way] += _count(said, heard, terms)
    rows = [
        [
            way,
            f"{100 * one['errors'] / max(1, one['words']):.1f}",
            f"{one['terms']} of {one['terms said']}",
            str(one["terms invented"]),
        ]
        for way, one in counts.items()
    ]
    print(f"{counts['no terms']['words']} words")
    print(table(["", "WER", "terms written", "terms invented"], rows))


def _text(recording: Recording) -> str:
    return recording.text or " ".join(segment.text for segment in recording.segments)


def _windows(recording: Recording) -> tuple[Window, ...]:
    waveform = recording.waveform()
    probabilities = SileroDetector().probabilities(waveform)
    seconds = InferenceConfig().chunk_length_s
    return speech_windows(waveform, probabilities, seconds, WindowRules())


def _count(said: str, heard: str, terms: Sequence[str]) -> Counter[str]:
    """Words and errors; terms in the reference, in both texts, and in the heard text only."""
    reference, hypothesis = map(normalizer("en"), (said, heard))
    counts = Counter(words=len(reference), errors=word_errors(reference, hypothesis).errors)
    in_reference, in_hypothesis = Counter(reference), Counter(hypothesis)
    for term in (term.lower() for term in terms):
        there, written = in_reference[term], in_hypothesis[term]
        counts["terms said"] += there
        counts["terms"] += min(there, written)
        counts["terms invented"] += max(0, written - there)
    return counts


if __name__ == "__main__":
    main()
