"""Runs the programs in `examples/` as a reader would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import REPO

EXAMPLES = REPO / "examples"
COMMANDS = {".py": sys.executable, ".sh": "sh", ".mjs": "node"}
PROGRAMS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in COMMANDS)


def run_example(
    path: Path, audio: Path, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with a recording; skip if its interpreter is not installed."""
    command = COMMANDS[path.suffix]
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [command, path, audio], cwd=folder, env={**kept, **variables},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def check_example(path: Path, phone_call: Path, folder: Path, **variables: str) -> None:
    """Check that a program prints the conversation with the right speaker for both people."""
    ended = run_example(path, phone_call, folder, **variables)
    assert ended.returncode == 0, ended.stderr
    text = ended.stdout
    if path.suffix == ".sh":
        turns = json.loads(text)["speakers"]
        text = "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in turns)
    lines = text.splitlines()
    assert len(lines) >= 6
    sheila, diane = (
        next(word for word in line.replace(":", " ").split() if word.startswith("SPEAKER_"))
        for name in ("Sheila", "Diane")
        for line in lines
        if name in line
    )
    assert {sheila, diane} == {"SPEAKER_00", "SPEAKER_01"}, text
