"""Print where pyannote's wheel keeps its sample recording, without importing pyannote."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

spec = find_spec("pyannote.audio")
if spec is None or not spec.submodule_search_locations:
    sys.exit("pyannote.audio is not installed; run make install")
print(Path(spec.submodule_search_locations[0]) / "sample" / "sample.wav")
