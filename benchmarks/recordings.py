"""Recordings with their references: any folder in the form of `tests/data`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_diarization.audio.decode import Waveform, decode_audio
from asr_diarization.transcript import Segment, Turn, Word

MAX_SECONDS = 4 * 3600.0
PYANNOTE_SAMPLE = "pyannote-sample"
"""Stands for the folder inside pyannote's wheel: half a minute of a phone call with its truth."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file and what is said in it."""

    name: str
    path: Path
    language: str | None
    duration: float
    segments: tuple[Segment, ...]
    """By speaker, sorted by start; empty when only `text` is known."""
    text: str | None
    """The whole text when nobody wrote down who said it and when."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Who speaks when: the segments that hold words. Laughter is not speech."""
        return tuple(sorted(Turn(s.start, s.end, s.speaker or "") for s in self.segments if s.text))

    @property
    def num_speakers(self) -> int:
        """How many people say at least one word."""
        return len({turn.speaker for turn in self.turns})

    @property
    def digest(self) -> str:
        """Names the bytes of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    def waveform(self) -> Waveform:
        """The sound, as every engine gets it."""
        return decode_audio(self.path.read_bytes(), max_seconds=MAX_SECONDS)


def load_recordings(folders: Sequence[str]) -> tuple[Recording, ...]:
    """Every recording with a reference in `folders` and the folders inside them, sorted by name.

    Raises:
        FileNotFoundError: a folder does not exist or holds no reference.
    """
    found: dict[str, Recording] = {}
    for folder in folders:
        root = _sample_folder() if folder == PYANNOTE_SAMPLE else Path(folder)
        recordings = list(_in_folder(root))
        if not recordings:
            raise FileNotFoundError(f"{root} holds no reference.json, no <recording>.json, no .stm")
        found |= {recording.name: recording for recording in recordings}
    return tuple(found[name] for name in sorted(found))


def _sample_folder() -> Path:
    import pyannote.audio

    return Path(pyannote.audio.__file__).parent / "sample"


def _in_folder(root: Path) -> Iterator[Recording]:
    for path in sorted(root.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = content if isinstance(content, list) else [content]
        for entry in entries:
            if isinstance(entry, dict) and "file" in entry:
                yield _recording(path.parent / entry["file"], entry)
    for path in sorted(root.rglob("*.stm")):
        audio = path.with_suffix(".wav")
        # Where there is a JSON file too, it says the same and more.
        if audio.is_file() and not path.with_suffix(".json").exists():
            yield _from_stm(path, audio)


def _recording(path: Path, entry: Mapping[str, Any]) -> Recording:
    segments = tuple(sorted(map(_segment, entry.get("segments", ())), key=lambda s: s.start))
    text = None if "segments" in entry else entry["text"]
    language = entry.get("language")
    return Recording(path.name, path, language, float(entry["duration_s"]), segments, text)


def _segment(entry: Mapping[str, Any]) -> Segment:
    words = tuple(
        Word(f" {word['word']}", word["start"], word["end"], speaker=entry["speaker"])
        for word in entry.get("words", ())
    )
    return Segment(entry["start"], entry["end"], entry["text"], words, entry["speaker"])


def _from_stm(path: Path, audio: Path) -> Recording:
    """NIST's lines: `file channel speaker start end [<label>] text`."""
    segments = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith(";;"):
            _, _, speaker, start, end, *text = line.split()
            words = " ".join(word for word in text if not word.startswith("<"))
            segments.append(Segment(float(start), float(end), words, (), speaker))
    waveform = decode_audio(audio.read_bytes(), max_seconds=MAX_SECONDS)
    return Recording(audio.name, audio, "en", len(waveform) / 16000, tuple(segments), None)
