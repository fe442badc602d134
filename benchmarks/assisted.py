"""Speculative decoding: time by acceptance of the drafts, and its effect on the words.

    python -m benchmarks.assisted                        what `make bench-assisted` runs
    python -m benchmarks.assisted --precisions int8 --batches 4 --rounds 3
    python -m benchmarks.assisted --model openai/whisper-large-v3 \\
        --assistant distil-whisper/distil-large-v3 --device cuda

Drafts are scripted: each token is correct with probability p and costs nothing, so the table shows
the cost of verification and of the policy; a real assistant's time comes on top. Times are CPU
seconds of one thread (wall seconds on an accelerator). The cases of a round follow each other in
one process, and the medians of the rounds count. Drafts change only the decoding time; `whole`
includes the encoder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import torch
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.vad import SileroDetector
from asr_diarization.audio.windows import WindowRules, speech_windows
from asr_diarization.config import InferenceConfig
from asr_diarization.whisper.checkpoint import Checkpoint, load_whisper
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.decoding import BatchDecoder, Drafter
from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.speculative import (
    AssistantDrafter,
    cache_factory,
    check_assistant,
    share_encoder,
)
from benchmarks.recordings import Recording, load_recordings
from benchmarks.reports.assisted_report import Case, Cases, draw, to_markdown
from benchmarks.reports.tables import write_section
from benchmarks.store import REPOSITORY
from benchmarks.systems.scripted import ScriptedDrafter
from benchmarks.systems.stock_assisted import stock_table

ACCEPTANCES = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)
WINDOWS = 8
"""Size of the largest batch; the windows of the recordings are repeated if there are fewer."""


@dataclass(frozen=True, slots=True)
class Source:
    """Encoded windows in batches of one size, with their waveforms."""

    batches: list[list[Tensor]]
    waveforms: list[list[Waveform]]
    encode_seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the report and write it."""
    options = parse_arguments(arguments)
    torch.set_num_threads(1)
    recordings = [r for r in load_recordings(options.data) if r.segments]
    longest = max(recordings, key=lambda recording: recording.duration)
    cases: Cases = {}
    short: Cases = {}
    for precision in options.precisions:
        bench = Bench(options, precision)
        windows = list(islice(cycle(_windows(recordings)), WINDOWS))
        for batch in options.batches:
            cases |= bench.run(windows, batch, ACCEPTANCES)
        for batch in (1, 4):
            short |= bench.run(list(_windows([longest])), batch, (0.0, 1.0))
        del bench
    stock = "" if options.no_stock else stock_table(options.model, longest)
    report = to_markdown(cases, short, recordings, longest, stock)
    print(report)
    write_section(options.out, "make bench-assisted", report)
    draw(cases, options.picture)
    print(f"\nwritten to {options.out} and {options.picture}")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.assisted",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    data, out = REPOSITORY / "tests/data", REPOSITORY / "out"
    default = [str(data / "ami"), str(data / "dialogues")]
    add("--data", nargs="+", default=default, help="folders of recordings with references")
    add("--model", default=str(REPOSITORY / "models/whisper-base"), help="directory or hub id")
    add("--assistant", help="also measure this real one; directory or hub id")
    add("--device", default="cpu", help="cpu (default) or cuda")
    add("--precisions", nargs="+", default=["int8", "float32"], help="default: int8 float32")
    add("--batches", nargs="+", type=int, default=[1, 4, 8], help="default: 1 4 8")
    add("--rounds", type=int, default=1, help="of which the median counts (default: 1)")
    add("--no-stock", action="store_true", help="leave transformers' assisted path out")
    add("--out", type=Path, default=out / "assisted.md", help="Markdown with a generated section")
    add("--picture", type=Path, default=out / "assisted.png", help="where to draw it")
    return parser.parse_args(arguments)


def _windows(recordings: Sequence[Recording]) -> Iterator[tuple[str, Waveform]]:
    """The speech windows of the recordings, cut as in a request."""
    detector, rules, seconds = SileroDetector(), WindowRules(), InferenceConfig().chunk_length_s
    for recording in recordings:
        waveform = recording.waveform()
        probabilities = detector.probabilities(waveform)
        for window in speech_windows(waveform, probabilities, seconds, rules):
            yield recording.name, window.samples()


class Bench:
    """A model in one precision, with its decoder and assistant."""

    def __init__(self, options: argparse.Namespace, precision: str) -> None:
        device = torch.device(options.device)
        self._precision, self._rounds = precision, options.rounds
        self._model = load_whisper(options.model, device, precision)
        self._assistant = self._load_assistant(options.assistant, device)
        self._decoder = BatchDecoder(self._model.decoder, self._model.vocabulary)
        self._clock = time.process_time if device.type == "cpu" else time.perf_counter

    def _load_assistant(self, name: str | None, device: torch.device) -> Checkpoint | None:
        if name is None:
            return None
        assistant = load_whisper(name, device, self._precision)
        check_assistant(self._model, assistant)
        return share_encoder(self._model, assistant)

    @torch.inference_mode()
    def run(
        self, windows: Sequence[tuple[str, Waveform]], batch: int, acceptances: Sequence[float]
    ) -> Cases:
        """All cases of one batch size: unassisted, every acceptance, and a real assistant."""
        source = self._encode(windows, batch)
        self._decode(source, None)  # warms up
        names = ["unassisted", *(f"{p:g}" for p in acceptances)]
        names += ["assistant"] if self._assistant else []
        cases = {name: Case() for name in names}
        for number in range(self._rounds):
            plain = 0.0
            for name, case in cases.items():
                policy = DraftPolicy()
                scripts = [one.tokens for one in cases["unassisted"].decoded]
                drafters = self._drafters(name, source, scripts, policy, number)
                began = self._clock()
                case.decoded = self._decode(source, drafters)
                seconds = self._clock() - began
                plain = plain or seconds
                case.seconds.append(seconds)
                case.ratios.append(seconds / plain)
                whole = source.encode_seconds
                case.whole_ratios.append((seconds + whole) / (plain + whole))
                case.stats = policy.stats()
                print(f"{self._precision} batch {batch} {name}: {seconds:.1f} s", flush=True)
        for case in cases.values():
            case.texts = [(name, self._model.vocabulary.text(one.tokens)) for (name, _), one
                          in zip(windows, case.decoded, strict=True)]  # fmt: skip
        return {(self._precision, batch, name): case for name, case in cases.items()}

    def _encode(self, windows: Sequence[tuple[str, Waveform]], batch: int) -> Source:
        waveforms = [[w for _, w in windows[i : i + batch]] for i in range(0, len(windows), batch)]
        began = self._clock()
        batches = [self._model.encode(some) for some in waveforms]
        taken = self._clock() - began
        return Source(batches, waveforms, taken)

    def _drafters(
        self,
        name: str,
        source: Source,
        scripts: Sequence[Sequence[int]],
        policy: DraftPolicy,
        seed: int,
    ) -> Iterator[Drafter] | None:
        """A drafter for each batch, or None for unassisted decoding."""
        if name == "unassisted":
            return None
        if name == "assistant":
            return self._real_drafters(source, policy)
        end, at = self._model.vocabulary.end, 0
        drafters: list[Drafter] = []
        for number, encoded in enumerate(source.batches):
            some = scripts[at : at + len(encoded)]
            drafters.append(ScriptedDrafter(some, end, float(name), policy, seed + number))
            at += len(encoded)
        return iter(drafters)

    def _real_drafters(self, source: Source, policy: DraftPolicy) -> Iterator[Drafter]:
        assistant = self._assistant
        assert assistant is not None
        for encoded, waveforms in zip(source.batches, source.waveforms, strict=True):
            shared = encoded if assistant.encoder is self._model.encoder else None
            make_cache = cache_factory(assistant, shared, waveforms)
            yield AssistantDrafter(assistant.decoder, make_cache, policy)

    def _decode(self, source: Source, drafters: Iterator[Drafter] | None) -> list[Decoded]:
        decoded: list[Decoded] = []
        prefix = self._model.vocabulary.prefix("en", "transcribe")
        for encoded in source.batches:
            cache = self._model.decoder.new_cache(encoded)
            drafter = None if drafters is None else next(drafters)
            decoded += self._decoder.decode(cache, [prefix] * len(encoded), drafter=drafter)
        return decoded


if __name__ == "__main__":
    main()
