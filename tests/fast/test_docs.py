"""What the documents tell readers to type, and where they send them, exists."""

from __future__ import annotations

import re
import shlex

import pytest

from asr_diarization.cli.main import make_parser
from asr_diarization.deploy.presets import MEMORY_GB, PRESETS
from tests.support.paths import REPO

DOCUMENTS = [REPO / "README.md", *sorted(REPO.glob("docs/*.md")), REPO / "examples" / "README.md"]
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*python -m asr_diarization (.*)$", re.MULTILINE)


def blocks(path):
    """Fenced blocks of a document, whole."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_are_understood(path):
    for line in COMMAND.findall("\n".join(blocks(path))):
        words = shlex.split(re.split(r"\s#|[|&>]", line)[0])
        if "..." not in words:
            assert make_parser().parse_args(words), line


def test_commands_are_found_at_all():
    found = [line for path in DOCUMENTS for line in COMMAND.findall("\n".join(blocks(path)))]
    assert sum(line.startswith("deploy") for line in found) >= 10
    assert any(line.startswith("doctor") for line in found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        target, _, heading = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize(("name", "preset"), PRESETS.items(), ids=list(PRESETS))
def test_the_table_of_presets_says_what_is_computed(name, preset):
    machine, models = preset.instance, preset.models
    text = (REPO / "docs" / "deploy.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{name}` \|(.*)$", text, re.MULTILINE)
    assert f"| {models.needed_gb(machine.accelerator):.1f} GB |" in row
    assert f"| {MEMORY_GB[machine.type, machine.size]} GB |" in row
    assert f"{machine.vendor} `{machine.type}` {machine.size}" in row
    for variable in models.by_variable().values():
        assert variable.rpartition("/")[2] in row
