"""Where things are in this repository."""

from pathlib import Path

REPO = Path(__file__).parents[2]
DATA = REPO / "tests" / "data"
