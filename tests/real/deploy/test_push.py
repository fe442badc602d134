"""`deploy push`: what an endpoint's repository holds."""

from __future__ import annotations

import re
import subprocess
import sys

from asr_diarization.deploy.files import files_of_endpoint
from tests.support.loopback_deploy import (  # noqa: F401  fixtures
    command,
    endpoints_api,
    first_endpoint,
)
from tests.support.loopback_hub import Repository
from tests.support.paths import REPO


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

    def test_the_handler_runs_from_what_is_pushed(self, tmp_path, local_models):
        for name in files_of_endpoint():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((REPO / name).read_bytes())
        assert not (tmp_path / "asr_diarization" / "server.py").exists()
        code = """
import pathlib, sys
sys.path.insert(0, '.')
from handler import EndpointHandler
print(EndpointHandler('.')({'inputs': pathlib.Path(sys.argv[1]).read_bytes()})['text'])
"""
        sample = REPO / "tests" / "data" / "formats" / "sample1.flac"
        done = subprocess.run(
            [sys.executable, "-c", code, str(sample)], cwd=tmp_path, check=False,
            env={**local_models, "PATH": "", "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert "going along slushy" in done.stdout, done.stderr
