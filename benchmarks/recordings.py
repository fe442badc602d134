"""Recordings with their references, from folders in the format of `tests/data`."""

from __future__ import annotations

import hashlib
import io
import json
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_diarization.audio.decode import SAMPLE_RATE, Waveform, decode_audio
from asr_diarization.deploy.sample import sample_recording
from asr_diarization.transcript import Segment, Turn, Word

MAX_SECONDS = 4 * 3600.0
PYANNOTE_SAMPLE = "pyannote-sample"
"""Names the folder in pyannote's wheel with half a minute of a phone call and its reference."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An audio file and its reference."""

    name: str
    path: Path
    language: str | None
    duration: float
    segments: tuple[Segment, ...]
    """Segments with speakers, sorted by start; empty if only `text` is known."""
    text: str | None
    """The whole text if the reference has no speakers and times."""
    reference_turns: tuple[Turn, ...] = ()
    """Turns of a reference without words."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Turns of the segments with words, or those given alone; laughter is not speech."""
        with_words = (Turn(s.start, s.end, s.speaker or "") for s in self.segments if s.text)
        return self.reference_turns or tuple(sorted(with_words))

    @property
    def num_speakers(self) -> int:
        """Number of speakers with at least one word."""
        return len({turn.speaker for turn in self.turns})

    @property
    def digest(self) -> str:
        """Hash of the file's bytes."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    def waveform(self) -> Waveform:
        """The waveform that every engine gets."""
        return decode_audio(self.path.read_bytes(), max_seconds=MAX_SECONDS)


def load_recordings(folders: Sequence[str]) -> tuple[Recording, ...]:
    """Every recording with a reference in `folders` and the folders inside them, sorted by name.

    Raises:
        FileNotFoundError: a folder does not exist or holds no reference.
    """
    found: dict[str, Recording] = {}
    for folder in folders:
        root = sample_recording().parent if folder == PYANNOTE_SAMPLE else Path(folder)
        recordings = list(_in_folder(root))
        if not recordings:
            raise FileNotFoundError(f"{root} holds no reference.json, no <recording>.json, no .stm")
        found |= {recording.name: recording for recording in recordings}
    return tuple(found[name] for name in sorted(found))


def wav_bytes(samples: Waveform) -> bytes:
    """A waveform as a WAV file with 16 bits per sample."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _in_folder(root: Path) -> Iterator[Recording]:
    for path in sorted(root.rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = content if isinstance(content, list) else [content]
        for entry in entries:
            if isinstance(entry, dict) and "file" in entry:
                yield _recording(path.parent / entry["file"], entry)
    for path in sorted(root.rglob("*.stm")):
        audio = path.with_suffix(".wav")
        # A JSON file beside it has the same reference and more.
        if audio.is_file() and not path.with_suffix(".json").exists():
            yield _from_stm(path, audio)


def _recording(path: Path, entry: Mapping[str, Any]) -> Recording:
    segments = tuple(sorted(map(_segment, entry.get("segments", ())), key=lambda s: s.start))
    turns = () if segments else tuple(sorted(Turn(**turn) for turn in entry.get("turns", ())))
    text = None if segments or turns else entry["text"]
    language = entry.get("language")
    return Recording(path.name, path, language, float(entry["duration_s"]), segments, text, turns)


def _segment(entry: Mapping[str, Any]) -> Segment:
    words = tuple(
        Word(f" {word['word']}", word["start"], word["end"], speaker=entry["speaker"])
        for word in entry.get("words", ())
    )
    return Segment(entry["start"], entry["end"], entry["text"], words, entry["speaker"])


def _from_stm(path: Path, audio: Path) -> Recording:
    """A recording with a reference in NIST's format.

    Each line is `file channel speaker start end [<label>] text`.
    """
    segments = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith(";;"):
            _, _, speaker, start, end, *text = line.split()
            words = " ".join(word for word in text if not word.startswith("<"))
            segments.append(Segment(float(start), float(end), words, (), speaker))
    waveform = decode_audio(audio.read_bytes(), max_seconds=MAX_SECONDS)
    return Recording(audio.name, audio, "en", len(waveform) / SAMPLE_RATE, tuple(segments), None)
