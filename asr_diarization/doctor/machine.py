"""Checks of the machine: libraries, decoders, device, memory, disk, folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

from asr_diarization.doctor.findings import Finding, bad, good
from asr_diarization.doctor.versions import INSTALL, PYAV, installed_version
from asr_diarization.errors import ModelLoadError, one_line

DECODERS = ("pcm_s16le", "flac", "mp3", "vorbis", "opus", "aac", "amrnb")
GB = 1e9
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


LIBRARIES = {
    "numpy": "numpy",
    "huggingface_hub": "huggingface_hub.hf_api",  # importing the package alone imports nothing
    "safetensors": "safetensors",
    "torch": "torch",
    "transformers": "transformers",
    "accelerate": "accelerate",
}
"""Libraries that must be importable: the installed name, and the module to import."""


def check_imports() -> list[Finding]:
    """A problem for every library that is installed but cannot be imported."""
    found = []
    for name, module in LIBRARIES.items():
        if installed_version(name) is None:
            continue  # `check_versions` reports it
        try:
            import_module(module)
        except Exception as error:  # noqa: BLE001  a broken build may raise anything
            text = f"{name} cannot be imported ({one_line(error)}); {INSTALL}"
            found.append(bad(name, text))
    return found


def check_ffmpeg() -> Finding:
    """Whether PyAV, which contains FFmpeg's libraries, can be imported and decode all formats."""
    try:
        import av
    except Exception as error:  # noqa: BLE001  a broken build may raise anything
        return bad(
            "FFmpeg",
            f"PyAV cannot be imported ({one_line(error)}); pip install --force-reinstall {PYAV}",
        )
    missing = [name for name in DECODERS if name not in av.codecs_available]
    if missing:
        return bad(
            "FFmpeg",
            f"this build of PyAV {av.__version__} cannot decode {', '.join(missing)}; "
            f"pip install --force-reinstall --only-binary av {PYAV}",
        )
    return good("FFmpeg", f"PyAV {av.__version__}")


def check_device(setting: str, precision: str) -> Finding:
    """Whether the device named by `DEVICE` exists and supports `PRECISION`."""
    from asr_diarization.devices import choose_device
    from asr_diarization.whisper.precision import choose_precision

    try:
        device = choose_device(setting)
        choose_precision(precision, device)
    except ModelLoadError as error:
        return bad("device", str(error))
    return good("device", str(device))


def available_bytes(device: str) -> int:
    """Free memory of an accelerator; for the CPU, all the memory that this process may use."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *map(_limit, CGROUP_LIMITS)])


def _limit(path: str) -> int:
    """A container's memory limit in bytes; a very large number if there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        text = "max"
    return int(text) if text.isdigit() else 2**62


def check_memory(needed: int, available: int, where: str) -> Finding:
    """Whether the models fit into memory; `needed` is computed from the sizes of their weights."""
    if needed > available:
        return bad(
            "memory",
            f"these models need about {needed / GB:.1f} GB (computed), and {where} has "
            f"{available / GB:.1f} GB; choose a smaller ASR_MODEL or a larger instance",
        )
    return good("memory", f"about {needed / GB:.1f} GB of {available / GB:.1f} GB on {where}")


def check_disk(needed: int, folder: Path) -> Finding:
    """Whether the remaining downloads fit into `folder`."""
    free = shutil.disk_usage(_existing(folder)).free
    if needed > free:
        return bad(
            "disk",
            f"{needed / GB:.1f} GB must still be downloaded into {folder}, which has "
            f"{free / GB:.1f} GB free; free some space, or set HF_HOME to a larger disk",
        )
    return good("disk", f"{needed / GB:.1f} GB to download, {free / GB:.1f} GB free in {folder}")


def check_temporary() -> Finding:
    """Whether there is a writable folder for temporary files, which uploads need."""
    try:
        return good("TMPDIR", f"{tempfile.gettempdir()} is writable")
    except OSError:
        return bad("TMPDIR", "no folder for temporary files is writable; set TMPDIR to one that is")


def check_writable(folder: Path, variable: str) -> Finding:
    """Whether files can be created in `folder`, or in its nearest existing parent."""
    parent = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=parent):
            return good(variable, f"{folder} is writable")
    except OSError as error:
        return bad(
            variable,
            f"{folder} is not writable ({error.strerror}); set {variable} to a writable folder",
        )


def _existing(folder: Path) -> Path:
    """`folder`, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
