"""Directories that are either whole or absent: filled elsewhere, stamped, then renamed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MANIFEST = "manifest.json"
RECIPE = 1
"""Raise it when what is built changes; older directories are then built again."""


def is_complete(directory: Path) -> bool:
    """Whether `directory` was published by this recipe and every file still has its size."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest == _describe(directory))
    except (OSError, ValueError):
        return False


def publish(filled: Path, target: Path) -> None:
    """Move the directory `filled`, on the same disk, to `target`, replacing what is there."""
    text = json.dumps(_describe(filled), indent=2) + "\n"
    (filled / MANIFEST).write_text(text, encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    filled.rename(target)


def _describe(directory: Path) -> dict[str, object]:
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST)
    sizes = {path.relative_to(directory).as_posix(): path.stat().st_size for path in files}
    return {"recipe": RECIPE, "files": dict(sorted(sizes.items()))}
