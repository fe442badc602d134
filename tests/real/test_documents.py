"""Examples and README are run as they stand, against a server with the local models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import pytest_socket

from tests.support.example_programs import EXAMPLES, PROGRAMS, check_example, run_example
from tests.support.loopback_hub import Request, listening
from tests.support.paths import REPO
from tests.support.serving import serving

KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def url(models_dir, tmp_path_factory):
    with serving(models_dir, tmp_path_factory.mktemp("server"), API_KEYS=KEY) as (address, _, _):
        yield address


@pytest.fixture(autouse=True)
def _loopback(_alone):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_an_example(path, url, phone_call, tmp_path):
    check_example(path, phone_call, tmp_path, ENDPOINT_URL=url, HF_TOKEN=KEY)


@pytest.mark.parametrize("name", ["raw_audio.py", "fetch.mjs"])
def test_an_example_tells_why_it_was_refused(name, url, tmp_path):
    bad = tmp_path / "call.wav"
    bad.write_bytes(b"RIFF, but not really")
    ended = run_example(EXAMPLES / name, bad, tmp_path, ENDPOINT_URL=url, HF_TOKEN=KEY)
    assert ended.returncode == 1
    assert "refused (415): " in ended.stderr


@pytest.mark.parametrize("name", ["raw_audio.py", "fetch.mjs"])
def test_an_example_tells_that_a_proxy_has_no_endpoint_yet(name, phone_call, tmp_path):
    class Proxy:
        requests: ClassVar[list[Request]] = []

        def answer(self, _: Request) -> tuple[int, dict[str, str], bytes]:
            return 503, {"Content-Type": "text/html"}, b"<h1>503 Service Unavailable</h1>"

    with listening(Proxy()) as address:
        ended = run_example(EXAMPLES / name, phone_call, tmp_path, ENDPOINT_URL=address)
    assert ended.returncode == 1
    assert ended.stderr == "refused (503): <h1>503 Service Unavailable</h1>\n"


@pytest.mark.parametrize(("name", "code"), [("call.OGG", 0), ("call.mov", 1)])
def test_raw_audio_names_the_type_or_another_way(name, code, url, phone_call, tmp_path):
    audio = tmp_path / name
    audio.write_bytes(phone_call.read_bytes())  # what a recording is, its content says
    ended = run_example(EXAMPLES / "raw_audio.py", audio, tmp_path, ENDPOINT_URL=url, HF_TOKEN=KEY)
    assert ended.returncode == code, ended.stderr
    assert code == 0 or "send it as base64 in JSON" in ended.stderr


def test_every_example_is_listed():
    listed = set(re.findall(r"^\| `([\w.]+)`", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in PROGRAMS}


README = (REPO / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
"""What is only shown, not run, is fenced as `console`, `json` or nothing."""


def _title(block):
    kind, text = block
    return f"{kind}: {text.splitlines()[0][:40]}"


@pytest.mark.parametrize("block", BLOCKS, ids=_title)
def test_a_block_of_the_readme(block, url, models_dir, phone_call, tmp_path):
    kind, text = block
    verbs = re.findall(r"^make ([\w-]+)", text, re.MULTILINE)
    if verbs:  # these build environments, or run this test: that they exist must do
        makefile = (REPO / "Makefile").read_text(encoding="utf-8")
        assert all(f"\n{verb}:" in makefile for verb in verbs)
        assert len(verbs) == len(text.strip().splitlines())
        return
    for name in ("call.wav", "call.m4a"):  # what a recording is, its content says
        (tmp_path / name).write_bytes(phone_call.read_bytes())
    text = text.replace("https://your-endpoint", url).replace("hf_...", KEY)
    program = tmp_path / "block"
    program.write_text(text, encoding="utf-8")
    command = [sys.executable] if kind == "python" else ["bash", "-eu"]
    ended = subprocess.run(
        [*command, program],
        cwd=tmp_path,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(REPO),
            "ENDPOINT_URL": url,
            "HF_TOKEN": KEY,
            "ASR_MODEL": str(models_dir / "whisper-base"),
            "DIARIZATION_MODEL": str(models_dir / "diarization"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    if "doctor" in text:
        assert "no problems found" in ended.stdout
    else:
        assert "SPEAKER_01" in ended.stdout
        assert "New Jersey" in ended.stdout


def test_the_readme_has_blocks_to_run():
    assert {kind for kind, _ in BLOCKS} == {"bash", "python"}
    assert any("curl" in text for _, text in BLOCKS)
