"""The name of this program, and its exit codes."""

from __future__ import annotations

import sys
from pathlib import Path

EXIT_OK = 0
EXIT_FAILED = 1
"""A recording failed, the doctor found problems, or the server could not load its models."""
EXIT_CANNOT_START = 2
"""The command line, a setting or a model is wrong, and nothing was done."""

_SCRIPT = "asr-diarization"


def program() -> str:
    """What a user types to start it: the console script, or the module."""
    return _SCRIPT if Path(sys.argv[0]).stem == _SCRIPT else "python -m asr_diarization"
