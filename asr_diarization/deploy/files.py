"""Files of an endpoint's repository: the handler and every module that it can import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ROOT = Path(__file__).parents[2]
BUTTON = "OWNER/asr-diarization"
"""The repository that the button in README.md deploys."""
RELATIVE_TARGET = r"\((?!https?://|#)[^)]*\)"
"""A link's target in README.md that is a path: the endpoint's repository does not hold it."""
MODULES = ("handler.py", "diarization_utils.py")
"""The handler, and the merging for a handler that its owner rewrites; with all that they import."""
ALWAYS = (*MODULES, "requirements.txt", "README.md", "LICENSE")


def files_of_endpoint(root: Path = ROOT) -> list[str]:
    """Paths below `root`, sorted; modules of the server and of the command line are not needed."""
    found, unread = set(ALWAYS), list(MODULES)
    while unread:
        for path in _imported_files(root, unread.pop()):
            if path not in found:
                found.add(path)
                unread.append(path)
    return sorted(path for path in found if (root / path).is_file())


def imported_names(module: Path) -> set[str]:
    """Dotted names that a file imports, at its top or in a function; some are not modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _imported_files(root: Path, module: str) -> Iterator[str]:
    for name in imported_names(root / module):
        path = name.replace(".", "/")
        # Importing a module also runs the `__init__.py` of every package above it.
        packages = (f"{parent}/__init__.py" for parent in PurePosixPath(path).parents)
        candidates = (f"{path}.py", f"{path}/__init__.py", *packages)
        yield from (candidate for candidate in candidates if (root / candidate).is_file())


def push(api: HfApi, repository: str, *, private: bool, root: Path = ROOT) -> str:
    """Upload the files of an endpoint, without its old modules; the repository's address.

    The repository is created if it does not exist. Its README is `card`.
    """
    created = api.create_repo(repository, private=private, exist_ok=True)
    readme = (root / "README.md").read_text(encoding="utf-8")
    api.upload_file(
        repo_id=created.repo_id,
        path_or_fileobj=card(readme, created.repo_id).encode(),
        path_in_repo="README.md",
        commit_message="Model card",
    )
    api.upload_folder(
        repo_id=created.repo_id,
        folder_path=str(root),
        allow_patterns=[name for name in files_of_endpoint(root) if name != "README.md"],
        delete_patterns=["asr_diarization/*"],  # modules of an older version
        commit_message="Handler for ASR and diarization",
    )
    return str(created)


def card(readme: str, repository: str) -> str:
    """README.md for the repository: its button deploys it, relative links become plain words."""
    readme = re.sub(rf"^!\[[^\]]*\]{RELATIVE_TARGET}\n\n?", "", readme, flags=re.MULTILINE)
    return re.sub(rf"\[([^\]]*)\]{RELATIVE_TARGET}", r"\1", readme).replace(BUTTON, repository)
