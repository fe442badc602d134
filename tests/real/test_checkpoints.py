"""Checkpoints as people have them: older ones, and fine-tuned ones with files missing."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
import torch

from asr_diarization.loading import load_whisper

pytestmark = pytest.mark.real

CPU = torch.device("cpu")
GENERATION = "generation_config.json"
KNOWN_EARLY = ("suppress_tokens", "bos_token_id", "eos_token_id", "decoder_start_token_id")
"""What generation configs held before transformers knew languages and tasks by name."""


def vocabulary_of(directory):
    """All ids of a checkpoint."""
    loaded = load_whisper(str(directory), CPU, "float32").vocabulary
    return {f.name: getattr(loaded, f.name) for f in fields(loaded) if f.name != "tokenizer"}


@pytest.fixture(params=["whisper-base", "whisper-tiny.en"])
def published(request, models_dir):
    return models_dir / request.param


@pytest.fixture
def copied(published, tmp_path):
    """The checkpoint without its generation config."""
    for path in published.iterdir():
        if path.name != GENERATION:
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_an_early_generation_config_lacks_nothing_the_tokenizer_does_not_say(published, copied):
    full = json.loads((published / GENERATION).read_text())
    early = {name: full[name] for name in KNOWN_EARLY}
    (copied / GENERATION).write_text(json.dumps(early))
    assert vocabulary_of(copied) == vocabulary_of(published)


def test_without_a_generation_config_only_the_suppressed_tokens_are_not_known(published, copied):
    found, expected = vocabulary_of(copied), vocabulary_of(published)
    assert found.pop("suppressed") == (expected["no_timestamps"],)
    del expected["suppressed"]
    assert found == expected
