"""`deploy push`: what an endpoint's repository holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from asr_diarization.deploy.files import files_of_endpoint
from asr_diarization.local_models.diarization import EMBEDDING_CLASS
from tests.support.loopback_hub import Repository
from tests.support.paths import REPO

ENDPOINT = """
import importlib.util, json, pathlib, sys
folder, audio = sys.argv[1:]
name = "handler.EndpointHandler"
spec = importlib.util.spec_from_file_location(name, f"{folder}/handler.py")
sys.path.insert(0, folder)
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
answer = module.EndpointHandler(folder)({"inputs": pathlib.Path(audio).read_bytes()})
ours = ("handler", "config", "diarization_utils", "asr_diarization")
print(json.dumps({
    "text": answer["text"],
    "speakers": sorted({turn["speaker"] for turn in answer["speakers"]}),
    "modules": [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in ours],
}))
"""
"""Loads the handler as the host does, asks it once, and prints what it imported of ours."""


class TestPush:
    def test_just_what_an_endpoint_needs(self, run, host):
        host.repositories["somebody/asr"] = Repository(
            {"asr_diarization/gone.py": b"old", "notes.txt": b"mine"}
        )
        code, out, _ = run("push somebody/asr")
        assert code == 0
        assert out.strip() == f"{host.url}/somebody/asr"
        held = host.repositories["somebody/asr"].files
        assert set(held) == {*files_of_endpoint(), "notes.txt"}
        assert held["handler.py"] == (REPO / "handler.py").read_bytes()
        assert b"new?repository=somebody/asr&" in held["README.md"]
        (create,) = [r for r in host.requests if r.path == "/api/repos/create"]
        assert create.json.get("visibility", create.json.get("private")) in ("private", True)

    def test_a_second_push_is_no_fault(self, run, host):
        assert run("push somebody/asr --public")[0] == run("push somebody/asr")[0] == 0

    def test_its_card_links_to_nothing_that_stayed_here(self, run, host):
        run("push somebody/asr")
        card = host.repositories["somebody/asr"].files["README.md"].decode()
        links = re.findall(r"\]\(([^)\s]+)\)", card)
        assert links
        assert all(link.startswith(("https://", "#")) for link in links)
        assert "docs/deploy.md has costs" in card  # the words stay
        assert "![" not in card

    def test_a_name_that_is_none(self, run, capsys):
        for name in ("bad~name", "a/b/c"):
            code, _, err = run(f"push {name}")
            assert code == 2
            assert "that is no name of a repository, owner/name" in err

    def test_the_module_that_a_built_model_names_is_pushed(self, run, host):
        run("push somebody/asr")
        module = EMBEDDING_CLASS["module"].replace(".", "/")
        assert f"{module}.py" in host.repositories["somebody/asr"].files

    def test_the_handler_runs_from_what_is_pushed(
        self, run, host, tmp_path, local_models, phone_call
    ):
        run("push somebody/asr")
        files = host.repositories["somebody/asr"].files
        assert not any("server" in Path(name).parts for name in files)
        folder = tmp_path / "repository"
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        done = subprocess.run(
            [sys.executable, "-I", "-W", "ignore", "-c", ENDPOINT, str(folder), str(phone_call)],
            cwd=elsewhere, check=False, capture_output=True, text=True, timeout=300,
            env={**local_models, "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        assert "New Jersey" in answer["text"]
        assert answer["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
        assert [path for path in answer["modules"] if not path.startswith(f"{folder}/")] == []
        assert f"{folder}/asr_diarization/diarization/campplus.py" in answer["modules"]
