"""Checks of versions and of the machine, in simulated environments."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import pytest

from asr_diarization.cli.doctor import as_text
from asr_diarization.doctor import machine, versions
from asr_diarization.doctor.findings import Finding, bad, good, paragraph
from asr_diarization.doctor.machine import check_ffmpeg, check_memory, check_writable
from tests.support.paths import REPO

GOOD = {
    "torch": "2.5.1",
    "torchaudio": "2.5.1",
    "transformers": "4.51.3",
    "accelerate": "1.6.0",
    "huggingface_hub": "0.30.2",
    "numpy": "1.26.4",
    "av": "18.1.0",
    "silero-vad": "6.2.3",
    "pyannote.audio": "3.4.0",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An environment of packages with names, versions and requirements, but no code."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torch", "torchaudio", "torchvision"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(name: str, version: str, *needs: str, build: str = "") -> None:
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        lines += [f"Requires-Dist: {need}" for need in needs]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        folder = tmp_path.joinpath(*name.replace("-", "_").split("."))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text("raise RuntimeError('nobody may import this')\n")
        if build:
            (folder / "version.py").write_text(f"__version__ = '{version}+{build}'\n")

    def ready(**changed: str):
        for name, version in {
            **GOOD,
            **{k.replace("__", "."): v for k, v in changed.items()},
        }.items():
            if version:
                install(name, version)

    install.all = ready
    return install


def texts(*, speakers: bool = True) -> list[str]:
    return [f.text for f in versions.check_versions(speakers=speakers) if not f.is_ok]


@pytest.mark.parametrize("build", ["", "+cu124", "+cpu"])
def test_versions_that_were_tested_together_are_well(site, build):
    site.all(torch="", torchaudio="")
    site("torch", f"2.5.1{build}", build="cu124")
    site("torchaudio", f"2.5.1{build}", "torch (==2.5.1)", build="cu124")
    assert texts() == []


def test_no_folder_for_temporary_files(monkeypatch):
    assert machine.check_temporary().is_ok

    def refuse():
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(machine.tempfile, "gettempdir", refuse)
    assert "set TMPDIR" in machine.check_temporary().text


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"numpy": "2.4.6"}, "pyannote.audio 3.4.0 does not work with numpy 2.4.6"),
        ({"transformers": "5.0.0"}, "transformers 5.0.0 switches PyTorch off below 2.6"),
        ({"av": ""}, "av is not installed"),
        ({"torchaudio": ""}, "torchaudio is not installed"),
    ],
)
def test_versions_that_do_not_work_together(site, changed, complaint):
    site.all(**changed)
    (text,) = texts()
    assert text.startswith(complaint)
    assert "pip install -r requirements" in text


def test_speakers_need_more_libraries(site):
    site.all(torchaudio="", pyannote__audio="")
    assert texts(speakers=False) == []
    assert len(texts(speakers=True)) == 2


def test_torchaudio_built_for_another_cuda(site):
    site.all(torch="", torchaudio="")
    site("torch", "2.15.0", build="cu132")
    site("torchaudio", "2.11.0", build="cu130")
    (text,) = texts()
    assert "torch 2.15.0 is built for CUDA 13.2 but torchaudio 2.11.0 for CUDA 13.0" in text


def test_a_build_for_the_cpu_has_no_cuda_to_differ_in(site):
    site.all(torch="", torchaudio="")
    site("torch", "2.15.0", build="cpu")
    site("torchaudio", "2.11.0", build="cu130")
    assert texts() == []


def test_torchvision_of_the_container_beside_a_torch_that_pip_moved(site):
    site.all(torch="2.14.1", torchaudio="2.11.0")
    site("torchvision", "0.20.1", "torch (==2.5.1)", "pillow")
    (text,) = texts()
    assert text.startswith("torchvision 0.20.1 needs torch==2.5.1, but 2.14.1 is installed")


def test_ffmpeg_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert "PyAV cannot be imported" in check_ffmpeg().text


def test_ffmpeg_without_a_decoder(monkeypatch):
    assert check_ffmpeg().is_ok
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"opus"})
    assert "cannot decode opus" in check_ffmpeg().text


@pytest.mark.parametrize("name", ["requirements.txt", "docker/constraints.txt"])
def test_messages_name_the_required_version_of_pyav(monkeypatch, name):
    lines = (REPO / name).read_text(encoding="utf-8").splitlines()
    assert versions.PYAV in lines
    monkeypatch.setitem(sys.modules, "av", None)
    assert f"pip install --force-reinstall {versions.PYAV}" in check_ffmpeg().text


def test_memory_is_that_of_the_container_not_of_the_machine(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    assert machine.available_bytes("cpu") > 10**8
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (str(limit),))
    assert machine.available_bytes("cpu") == 10**6
    limit.write_text("max\n")
    assert machine.available_bytes("cpu") > 10**8


def test_memory_names_both_figures():
    text = check_memory(5 * 10**9, 4 * 10**9, "cuda").text
    assert "5.0 GB" in text
    assert "4.0 GB" in text


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert check_writable(tmp_path / "new", "HF_HOME").is_ok
    found = check_writable(tmp_path / "file" / "new", "HF_HOME")
    assert not found.is_ok
    assert "set HF_HOME" in found.text


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([good("a", "fine")], ""),
        ([good("a", "fine"), bad("b", "broken\nin two")], "broken in two"),
        ([bad("a", "x"), bad("b", "y")], "2 problems keep this from starting: (1) x; (2) y"),
    ],
)
def test_all_problems_are_one_paragraph(found: list[Finding], expected: str):
    assert paragraph(found) == expected


@pytest.mark.parametrize(
    ("found", "last"),
    [
        ([good("a", "fine")], "no problems found"),
        ([bad("a", "x"), good("b", "fine")], "1 problem found"),
        ([bad("a", "x"), bad("b", "y")], "2 problems found"),
    ],
)
def test_the_report_ends_with_the_number_of_problems(found: list[Finding], last: str):
    lines = as_text(found).splitlines()
    assert (len(lines), lines[-1]) == (len(found) + 1, last)


def test_nothing_is_imported_to_tell_versions(site, tmp_path: Path):
    site.all()
    assert "raise RuntimeError" in (tmp_path / "torch" / "__init__.py").read_text()
    versions.check_versions(speakers=True)
    assert "torchaudio" not in sys.modules
