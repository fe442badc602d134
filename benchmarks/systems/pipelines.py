"""Runs variants on recordings and stores the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from asr_diarization.transcript import Diarization, Segment, Transcript
from benchmarks.recordings import Recording
from benchmarks.store import Store, code_version, file_version
from benchmarks.systems.merges import MERGES, largest_overlap
from benchmarks.systems.ours import Ours
from benchmarks.systems.seed import Chunk, SeedTranscriber, seed_merge
from benchmarks.systems.senko import SenkoDiarizer
from benchmarks.systems.stock import StockDiarizer
from benchmarks.systems.values import (
    MergeInput,
    Outcome,
    diarization_from_json,
    merge_input_from_json,
    outcome_from_json,
    to_json,
)
from benchmarks.systems.variants import OUR_WORDS, Variant

HERE = Path(__file__).parent
FASTER_WHISPER: dict[str, dict[str, Any]] = {
    "faster-whisper": {"compute_type": "float32", "batched": False},
    "faster-whisper-greedy": {"compute_type": "float32", "batched": False, "beams": 1},
    "faster-whisper-batched": {"compute_type": "float32"},
    "faster-whisper-int8": {"compute_type": "int8"},
}


@dataclass
class Bench:
    """Runs variants on recordings; a model is loaded only if the store lacks its result."""

    models: Path
    store: Store
    _loaded: dict[str, Any] = field(default_factory=dict)

    def run(self, variant: Variant, recording: Recording, num_speakers: int | None) -> Outcome:
        """The result of a variant on a recording; a failure is a result, too."""
        if variant.name == "ours" or variant.name in OUR_WORDS:
            return self._ours(variant, recording, num_speakers)
        diarization = self._stock(recording, num_speakers)
        try:
            if variant.name in FASTER_WHISPER:
                segments = self._faster_whisper(variant.name, recording)
                segments = largest_overlap(MergeInput(segments, diarization))
            else:
                segments = seed_merge(self._seed(variant.name, recording), diarization.turns)
        except IndexError as error:
            empty = Transcript(None, recording.duration, (), diarization.turns)
            return Outcome(empty, f"{type(error).__name__}: {error}")
        return Outcome(Transcript(None, recording.duration, segments, diarization.turns))

    def _ours(self, variant: Variant, recording: Recording, num_speakers: int | None) -> Outcome:
        if variant.merge is None:
            return outcome_from_json(self._run_ours(variant, recording, num_speakers)["transcript"])
        merge_input = merge_input_from_json(
            self._run_ours(variant, recording, num_speakers)["merge_input"]
        )
        other_turns = {
            "reference-turns": lambda: Diarization(recording.turns, recording.turns),
            "senko-turns": lambda: self._senko(recording),
        }
        if variant.name in other_turns:
            merge_input = MergeInput(merge_input.segments, other_turns[variant.name]())
        segments = MERGES[variant.merge](merge_input)
        return Outcome(
            Transcript(None, recording.duration, segments, merge_input.diarization.turns)
        )

    def _run_ours(
        self, variant: Variant, recording: Recording, num_speakers: int | None
    ) -> dict[str, Any]:
        """The `transcript` of our pipeline or its `merge_input`; one run makes both."""
        common = {
            "precision": variant.precision,
            "rules": variant.rules,
            "num_speakers": num_speakers,
            "recording": recording.digest,
            "models": self._versions,
        }
        keys = {
            "transcript": common | {"code": code_version(merging=True)},
            "merge_input": common | {"code": code_version(merging=False)},
        }
        names = {part: f"ours-{recording.path.stem}-{part}" for part in keys}
        wanted = "transcript" if variant.merge is None else "merge_input"
        found = self.store.find(names[wanted], keys[wanted])
        if found is not None:
            return {wanted: found}
        ours = self._load(
            f"ours {variant.precision} {variant.rules}",
            lambda: Ours(self.models, variant.precision, dict(variant.rules)),
        )
        merge_input, transcript = ours(recording.path.read_bytes(), num_speakers)
        made = {"transcript": to_json(Outcome(transcript)), "merge_input": to_json(merge_input)}
        return {part: self.store.put(names[part], keys[part], made[part]) for part in keys}

    def _stock(self, recording: Recording, num_speakers: int | None) -> Diarization:
        key = {
            "num_speakers": num_speakers,
            "recording": recording.digest,
            "models": self._versions,
            "code": file_version(HERE / "stock.py"),
        }

        def make() -> Any:
            diarizer = self._load("stock", lambda: StockDiarizer(self.models))
            return asdict(diarizer.diarize(recording.waveform(), num_speakers))

        return diarization_from_json(self.store.get(f"stock-{recording.path.stem}", key, make))

    def _senko(self, recording: Recording) -> Diarization:
        """senko cannot be told the number of speakers."""
        key = {"recording": recording.digest, "code": file_version(HERE / "senko.py")}

        def make() -> Any:
            diarizer = self._load("senko", SenkoDiarizer)
            return asdict(diarizer.diarize(recording.waveform()))

        return diarization_from_json(self.store.get(f"senko-{recording.path.stem}", key, make))

    def _seed(self, name: str, recording: Recording) -> tuple[Chunk, ...]:
        key = {"recording": recording.digest, "code": file_version(HERE / "seed.py")}

        def make() -> Any:
            beams = 1 if name == "seed" else None
            seed = self._load(name, lambda: SeedTranscriber(self.models, beams=beams))
            return [asdict(chunk) for chunk in seed.transcribe(recording.waveform())]

        made = self.store.get(f"{name}-{recording.path.stem}", key, make)
        return tuple(Chunk(**chunk) for chunk in made)

    def _faster_whisper(self, name: str, recording: Recording) -> tuple[Segment, ...]:
        key = {"recording": recording.digest, "code": file_version(HERE / "fasterwhisper.py")}

        def make() -> Any:
            from benchmarks.systems.fasterwhisper import FasterWhisper

            whisper = self._load(name, lambda: FasterWhisper(self.models, **FASTER_WHISPER[name]))
            return to_json(MergeInput(whisper.transcribe(recording.waveform()), Diarization()))

        return merge_input_from_json(
            self.store.get(f"{name}-{recording.path.stem}", key, make)
        ).segments

    def _load(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    @cached_property
    def _versions(self) -> dict[str, str]:
        paths = ("whisper-base/config.json", "diarization/config.yaml")
        return {path: file_version(self.models / path) for path in paths}
