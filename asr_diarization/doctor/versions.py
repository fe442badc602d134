"""Whether the installed libraries work together, told from their files, without importing them.

Every rule here is a failure that was seen: libraries say so late, deep inside an import, or not
at all. `INSTALL` is what to do about all of them.
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
PICKY = ("torchaudio", "torchvision", "transformers", "pyannote.audio", "torchcodec")
"""Those whose own requirements pip may have broken since, with only a warning."""
WATCHED = {"torch", "torchaudio", "torchvision", "numpy", "huggingface-hub", "tokenizers"}
INSTALL = (
    "install the versions that were tested together: pip install -r requirements.txt in the "
    "default container, -r requirements/current.txt elsewhere"
)


def check_versions(*, speakers: bool) -> list[Finding]:
    """One fault for every pair that does not work together; else one line with the versions."""
    names = NEEDED + (NEEDED_FOR_SPEAKERS if speakers else ())
    installed = {name: found for name in names if (found := installed_version(name))}
    problems = [f"{name} is not installed" for name in names if name not in installed]
    problems += [*_cuda_builds(), *_broken_requirements(), *_known_pairs(installed)]
    if problems:
        return [bad("versions", f"{problem}; {INSTALL}") for problem in problems]
    shown = ", ".join(f"{name} {found}" for name, found in installed.items())
    return [good("versions", shown)]


def installed_version(name: str) -> str | None:
    """What is installed, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cuda_builds() -> Iterator[str]:
    """Where torchaudio or torchvision refuses a torch that was built for another CUDA."""
    theirs = _built_for("torch")
    for name in ("torchaudio", "torchvision"):
        ours = _built_for(name)
        if theirs and ours and ours != theirs:
            yield (
                f"torch {installed_version('torch')} is built for {_spelled(theirs)} but {name} "
                f"{installed_version(name)} for {_spelled(ours)}, and {name} will not be imported"
            )


def _built_for(package: str) -> str | None:
    """`cu130`, `cpu` or the like, from the package's `version.py`; None when it does not say."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"__version__\s*=\s*['\"][^'\"+]+\+(cu\d+)", text)
    return found[1] if found else None


def _spelled(build: str) -> str:
    """`CUDA 13.0` of `cu130`."""
    return f"CUDA {build[2:-1]}.{build[-1]}"


def _broken_requirements() -> Iterator[str]:
    """What the packages that matter say about each other."""
    for package in PICKY:
        try:
            lines = requires(package) or []
        except PackageNotFoundError:
            continue
        for line in lines:
            wish = Requirement(line)
            name = wish.name.lower().replace("_", "-")
            if name not in WATCHED or (wish.marker and not wish.marker.evaluate({"extra": ""})):
                continue
            found = installed_version(name)
            if found and not wish.specifier.contains(found, prereleases=True):
                yield (
                    f"{package} {version(package)} needs {name}{wish.specifier}, "
                    f"but {found} is installed"
                )


def _known_pairs(installed: dict[str, str]) -> Iterator[str]:
    """Pairs whose own metadata allows what does not work."""

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
