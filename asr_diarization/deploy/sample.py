"""The sample recording in pyannote's wheel, which `deploy test` sends."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from asr_diarization.errors import DeployError


def sample_recording() -> Path:
    """Half a minute of a phone call between two people; `sample.rttm` beside it has its turns.

    pyannote itself is not imported.

    Raises:
        DeployError: pyannote.audio is not installed.
    """
    try:
        spec = find_spec("pyannote.audio")
    except ModuleNotFoundError:  # not even `pyannote` is there
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise DeployError(
            "the sample recording is part of pyannote.audio, which is not installed; "
            "name a recording of your own"
        )
    return Path(spec.submodule_search_locations[0]) / "sample" / "sample.wav"
