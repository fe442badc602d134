"""Checks that the installed versions work together; nothing is imported for it.

Every rule here stands for a failure that happened: libraries report it late, deep inside an import,
or not at all. `INSTALL` is the solution for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from asr_diarization.doctor.findings import Finding, bad, good

NEEDED = ("torch", "transformers", "accelerate", "huggingface_hub", "numpy", "av", "silero-vad")
NEEDED_FOR_SPEAKERS = ("torchaudio", "pyannote.audio")
DEPENDENTS = ("torchaudio", "torchvision", "transformers", "pyannote.audio", "torchcodec")
"""Packages whose requirements a later `pip install` may have broken with only a warning."""
DEPENDENCIES = {"torch", "torchaudio", "torchvision", "numpy", "huggingface-hub", "tokenizers"}
"""Requirements of `DEPENDENTS` that are checked."""
PYAV = "av==18.1.0"
"""The requirement of PyAV, as in the requirements files."""
INSTALL = (
    "install the versions that were tested together: pip install -r requirements.txt in the "
    "default container, pip install . elsewhere"
)


def check_versions(*, speakers: bool) -> list[Finding]:
    """A problem for every pair that does not work together; else one finding with all versions."""
    names = NEEDED + (NEEDED_FOR_SPEAKERS if speakers else ())
    installed = {name: found for name in names if (found := installed_version(name))}
    complaints = [f"{name} is not installed" for name in names if name not in installed]
    complaints += [*_cuda_builds(), *_broken_requirements(), *_known_pairs(installed)]
    if complaints:
        return [bad("versions", f"{complaint}; {INSTALL}") for complaint in complaints]
    shown = ", ".join(f"{name} {found}" for name, found in installed.items())
    return [good("versions", shown)]


def installed_version(name: str) -> str | None:
    """The installed version, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cuda_builds() -> Iterator[str]:
    """Builds of torchaudio or torchvision for another CUDA version than torch's."""
    of_torch = _cuda_build("torch")
    for name in ("torchaudio", "torchvision"):
        build = _cuda_build(name)
        if of_torch and build and build != of_torch:
            yield (
                f"torch {installed_version('torch')} is built for {_cuda_name(of_torch)} "
                f"but {name} {installed_version(name)} for {_cuda_name(build)}, "
                f"and {name} cannot be imported"
            )


def _cuda_build(package: str) -> str | None:
    """`cu130` or the like from the package's `version.py`; None for other builds."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"__version__\s*=\s*['\"][^'\"+]+\+(cu\d+)", text)
    return found[1] if found else None


def _cuda_name(build: str) -> str:
    """`CUDA 13.0` for `cu130`."""
    return f"CUDA {build[2:-1]}.{build[-1]}"


def _broken_requirements() -> Iterator[str]:
    """Requirements of the installed packages that other installed packages do not meet."""
    for package in DEPENDENTS:
        try:
            lines = requires(package) or []
        except PackageNotFoundError:
            continue
        for line in lines:
            requirement = Requirement(line)
            name = requirement.name.lower().replace("_", "-")
            if name not in DEPENDENCIES or (
                requirement.marker and not requirement.marker.evaluate({"extra": ""})
            ):
                continue
            found = installed_version(name)
            if found and not requirement.specifier.contains(found, prereleases=True):
                yield (
                    f"{package} {version(package)} needs {name}{requirement.specifier}, "
                    f"but {found} is installed"
                )


def _known_pairs(installed: dict[str, str]) -> Iterator[str]:
    """Pairs that do not work together although their metadata allows them."""

    def older(name: str, bound: str) -> bool:
        return name in installed and Version(installed[name]) < Version(bound)

    def newer(name: str, bound: str) -> bool:
        return name in installed and Version(installed[name]) >= Version(bound)

    if newer("numpy", "2") and older("pyannote.audio", "4"):
        yield (
            f"pyannote.audio {installed['pyannote.audio']} does not work with numpy "
            f"{installed['numpy']}: it needs numpy<2"
        )
    if newer("transformers", "5") and older("torch", "2.6"):
        yield (
            f"transformers {installed['transformers']} switches PyTorch off below 2.6, and torch "
            f"is {installed['torch']}"
        )
    if newer("pyannote.audio", "4") and older("huggingface_hub", "0.28"):
        yield f"pyannote.audio 4 needs huggingface_hub>=0.28, not {installed['huggingface_hub']}"
