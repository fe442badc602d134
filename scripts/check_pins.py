"""Check that the packages a requirements file pins are installed in exactly these versions."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def moved(requirements: str) -> list[str]:
    """One line for every `name==version` of a requirements file that is not what is installed."""
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    faults = []
    for line in filter(None, lines):
        name, _, pinned = line.partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "nothing"
        if found.partition("+")[0] != pinned:  # 2.5.1+cu124 is 2.5.1
            faults.append(f"{name}: {pinned} expected, {found} installed")
    return faults


if __name__ == "__main__":
    faults = moved(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.exit("\n".join(["versions moved:", *faults]) if faults else 0)
