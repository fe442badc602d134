"""What an endpoint's repository holds: the handler, and every module it can come to import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parents[2]
BUTTON = "OWNER/asr-diarization"
"""What README.md calls the repository that its button deploys."""
NEIGHBOUR = r"\((?!https?://|#)[^)]*\)"
"""Of a link in README.md: a path, where nothing is in the endpoint's repository."""
ALWAYS = ("handler.py", "requirements.txt", "README.md", "LICENSE")


def files_of_endpoint(root: Path = ROOT) -> list[str]:
    """Paths below `root`, sorted; modules of the server and of the command line are not needed."""
    found, waiting = set(ALWAYS), ["handler.py"]
    while waiting:
        for path in _imported(root, root / waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(path for path in found if (root / path).is_file())


def _imported(root: Path, module: Path) -> Iterator[str]:
    """Files of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            path = name.replace(".", "/")
            # A module runs the `__init__.py` of every package that it lies in.
            packages = (f"{parent}/__init__.py" for parent in PurePosixPath(path).parents)
            yield from (
                p for p in (f"{path}.py", f"{path}/__init__.py", *packages) if (root / p).is_file()
            )


def push(api: Any, repository: str, *, private: bool, root: Path = ROOT) -> str:
    """Make the repository if it is not there, and make it hold just these files; its address.

    Its README is `card`.
    """
    made = api.create_repo(repository, private=private, exist_ok=True)
    readme = (root / "README.md").read_text(encoding="utf-8")
    api.upload_file(
        repo_id=made.repo_id,
        path_or_fileobj=card(readme, made.repo_id).encode(),
        path_in_repo="README.md",
        commit_message="What it is",
    )
    api.upload_folder(
        repo_id=made.repo_id,
        folder_path=str(root),
        allow_patterns=[name for name in files_of_endpoint(root) if name != "README.md"],
        delete_patterns=["asr_diarization/*"],  # of an older version
        commit_message="Handler for ASR and diarization",
    )
    return str(made)


def card(readme: str, repository: str) -> str:
    """README.md for the repository: its button deploys it, links to what stays here are words."""
    readme = re.sub(rf"^!\[[^\]]*\]{NEIGHBOUR}\n\n?", "", readme, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]*)\]{NEIGHBOUR}", r"\1", readme).replace(BUTTON, repository)
