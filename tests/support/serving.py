"""The server as it is run: a process on a free port, with the local models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import REPO

SCRIPTED = """
import os, sys
from asr_diarization.cli.main import main
from asr_diarization.server import app
from tests.support.asgi import scripted
ready = scripted()
ready._speech.blocks = int(os.environ.get("BLOCKS", "1"))
app.load_pipeline = lambda settings: ready
sys.exit(main(["serve"]))
"""
"""The same program with engines that are scripted, which starts in two seconds.

`BLOCKS`, the number of blocks in which speech is looked for, says how long that takes.
"""


@contextmanager
def serving_scripted(tmp_path: Path, *, descriptors: int | None = None, **variables: str):
    """As `serving`, with scripted engines, and with so many descriptors at most."""
    limit = ["prlimit", f"--nofile={descriptors}"] if descriptors else []
    command = [*limit, sys.executable, "-c", SCRIPTED]
    with serving(Path(), tmp_path, command=command, **variables) as started:
        yield started


@contextmanager
def serving(models_dir: Path, tmp_path: Path, command: list[str] | None = None, **variables: str):
    """`python -m asr_diarization serve` on a free port; gives its address and its process."""
    log = tmp_path / "server.log"
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    given = {
        "ASR_MODEL": str(models_dir / "whisper-base"),
        "DIARIZATION_MODEL": str(models_dir / "diarization"),
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PORT": "0",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command or [sys.executable, "-m", "asr_diarization", "serve"],
            cwd=REPO, env={**clean, **given}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"running on (http://\S+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found[1], process, log
    finally:
        process.kill()
        process.wait()
