"""A store of results on disk; their keys hold everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "asr_diarization"
WITHOUT_INFLUENCE = {
    "__main__", "cli", "deploy", "doctor", "errors", "formats", "local_models", "model_info",
    "payloads", "server",
}  # fmt: skip
"""Modules and subpackages that do not affect words or turns once the models are built."""


class Store:
    """A folder of JSON files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, key: Mapping[str, object], make: Callable[[], Any]) -> Any:
        """The result of `make`, read from disk if it was stored under the same name and key."""
        found = self.find(name, key)
        return self.put(name, key, make()) if found is None else found

    def find(self, name: str, key: Mapping[str, object]) -> Any:
        """The value stored under this name and key, or None."""
        path = self._path(name, key)
        return json.loads(path.read_text(encoding="utf-8"))["value"] if path.exists() else None

    def put(self, name: str, key: Mapping[str, object], value: Any) -> Any:
        """Store and return `value`; the file also holds the key, for readers."""
        path = self._path(name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps({"key": key, "value": value}, ensure_ascii=False, default=str)
        part = path.with_suffix(".part")  # an interrupted run leaves no incomplete file
        part.write_text(content, encoding="utf-8")
        part.replace(path)
        return value

    def _path(self, name: str, key: Mapping[str, object]) -> Path:
        text = json.dumps(key, sort_keys=True, default=str)
        return self._folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


@cache
def code_version(*, merging: bool) -> str:
    """A hash of the code that makes words and turns; with `merging`, of `merging.py`, too."""
    without = WITHOUT_INFLUENCE if merging else WITHOUT_INFLUENCE | {"merging"}
    files = []
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part not in without:
            files.append(path)
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


@cache
def file_version(path: Path) -> str:
    """A hash of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
