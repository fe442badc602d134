"""Real models, loaded once for all tests: the local ones, on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyannote.audio.pipelines  # noqa: F401  brings speechbrain with it, in version 3
import pytest

from handler import EndpointHandler

for _name, _module in list(sys.modules.items()):
    # Hypothesis looks at the file of every module there is; these import, when looked at, what
    # nobody installed.
    if type(_module).__module__.startswith("speechbrain"):
        del sys.modules[_name]


@pytest.fixture(scope="session")
def local_models(models_dir: Path) -> dict[str, str]:
    """The settings that name the local models, as environment variables."""
    return {
        "ASR_MODEL": str(models_dir / "whisper-base"),
        "DIARIZATION_MODEL": str(models_dir / "diarization"),
        "DEVICE": "cpu",
    }


@pytest.fixture(scope="session")
def endpoint(local_models: dict[str, str]) -> Iterator[EndpointHandler]:
    """The handler as an endpoint would have it, its settings from the environment."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in local_models.items():
            environment.setenv(name, value)
        yield EndpointHandler("")


@pytest.fixture(scope="session")
def answer(endpoint: EndpointHandler) -> Callable[[Path], dict[str, Any]]:
    """What the endpoint says to a whole file, asked once."""

    @cache
    def ask(path: Path) -> dict[str, Any]:
        return endpoint({"inputs": path.read_bytes()})

    return ask
