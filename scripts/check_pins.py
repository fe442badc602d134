"""Check that the installed packages have the versions that a requirements file pins."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def mismatches(requirements: str) -> list[str]:
    """A line for every `name==version` of a requirements file that is not installed."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    found = []
    for line in filter(None, lines):
        name, _, pinned = line.partition("==")
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "nothing"
        if installed.partition("+")[0] != pinned:  # 2.5.1+cu124 is 2.5.1
            found.append(f"{name}: {pinned} expected, {installed} installed")
    return found


if __name__ == "__main__":
    wrong = mismatches(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit("\n".join(["wrong versions:", *wrong]) if wrong else 0)
