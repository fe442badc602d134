"""What the host expects of the repository: it is loaded as the host loads it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from asr_diarization.deploy.files import files_of_endpoint
from tests.support.paths import REPO

ROOT_MODULES = ("handler", "config", "diarization_utils", "asr_diarization")

LOADER = """
import importlib.util, sys
root, name = sys.argv[1], "handler.EndpointHandler"
spec = importlib.util.spec_from_file_location(name, f"{root}/handler.py")
sys.path.insert(0, root)
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert callable(module.EndpointHandler)
heavy = {"torch", "transformers", "pyannote.audio", "faster_whisper"} & set(sys.modules)
assert not heavy, heavy
"""

LEAVES = """
import sys
sys.path.insert(0, sys.argv[1])
import config, diarization_utils
heavy = {"torch", "numpy", "av", "transformers", "pyannote.audio"} & set(sys.modules)
assert not heavy, heavy
"""


def run(code: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(REPO)],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_loads_as_the_toolkit_loads_it(tmp_path):
    run(LOADER, tmp_path)


def test_leaves_import_nothing_heavy(tmp_path):
    run(LEAVES, tmp_path)


def test_our_names_shadow_nobody():
    uploaded = {path.partition("/")[0].removesuffix(".py") for path in files_of_endpoint()}
    assert set(ROOT_MODULES) <= uploaded
    others = {
        name for name, owners in packages_distributions().items() if "asr-diarization" not in owners
    }
    assert uploaded & (sys.stdlib_module_names | others) == set()


def test_requirements_fence_what_the_container_has():
    lines = (REPO / "requirements.txt").read_text().splitlines()
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", "\n".join(lines), re.MULTILINE))
    image = (REPO / "requirements" / "image.txt").read_text()
    container = dict(re.findall(r"^([\w.-]+)==(\S+)$", image, re.MULTILINE))
    fenced = ("torch", "torchaudio", "torchvision", "transformers", "huggingface_hub")
    assert {name: pins[name] for name in fenced} == {name: container[name] for name in fenced}
    assert "numpy<2" in lines
    # Any of these, unpinned, keeps the host's own server from starting.
    assert not any(line.startswith(("starlette", "fastapi", "uvicorn")) for line in lines)


def test_the_default_container_has_versions_that_the_package_allows():
    allowed = {}
    for line in tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["dependencies"]:
        requirement = Requirement(line)
        allowed[canonicalize_name(requirement.name)] = requirement.specifier
    pinned = {}
    for name in ("requirements.txt", "requirements/image.txt"):
        found = re.findall(r"^([\w.-]+)==(\S+)$", (REPO / name).read_text(), re.MULTILINE)
        pinned |= {canonicalize_name(package): version for package, version in found}
    both = pinned.keys() & allowed.keys()
    assert {"torch", "transformers", "pyannote-audio", "huggingface-hub", "accelerate"} <= both
    assert [name for name in both if pinned[name] not in allowed[name]] == []
