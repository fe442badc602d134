"""A server process for a benchmark, with the local models; Linux only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.store import REPOSITORY


@dataclass
class Server:
    url: str
    pid: int

    def rss_mb(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else float("nan")

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def serving(models: Path, code: str | None = None, **variables: str) -> Iterator[Server]:
    command = ["-c", code] if code else ["-m", "asr_diarization", "serve", "--port", "0"]
    env = {
        **os.environ,
        "ASR_MODEL": str(models / "whisper-base"),
        "DIARIZATION_MODEL": str(models / "diarization"),
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        **variables,
    }
    with tempfile.NamedTemporaryFile("r") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, env=env, stderr=log.file
        )
        try:
            while not (found := re.search(r"running on (http://\S+)", Path(log.name).read_text())):
                if process.poll() is not None:
                    raise SystemExit(Path(log.name).read_text())
                time.sleep(0.2)
            yield Server(found[1], process.pid)
        finally:
            process.terminate()
            process.wait(60)
