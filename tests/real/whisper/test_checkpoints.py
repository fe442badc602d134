"""Checkpoints as people have them: older ones, and fine-tuned ones with files missing."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
import torch
from safetensors.torch import save_file

from asr_diarization.errors import ModelLoadError
from asr_diarization.whisper.checkpoint import INDEX, SINGLE, load_weights, load_whisper

CPU = torch.device("cpu")
GENERATION = "generation_config.json"
KNOWN_EARLY = ("suppress_tokens", "bos_token_id", "eos_token_id", "decoder_start_token_id")
"""What generation configs held before transformers knew languages and tasks by name."""


def vocabulary_of(directory):
    """All ids of a checkpoint."""
    loaded = load_whisper(str(directory), CPU, "float32").vocabulary
    return {f.name: getattr(loaded, f.name) for f in fields(loaded) if f.name != "tokenizer"}


def test_ends_are_found_in_lists_and_in_the_tokenizer(published, copied):
    full = json.loads((published / GENERATION).read_text())
    for end in ([full["eos_token_id"]], None):
        (copied / GENERATION).write_text(json.dumps(full | {"eos_token_id": end}))
        assert vocabulary_of(copied) == vocabulary_of(published)


def test_a_model_saved_without_its_head_has_the_same_weights(published, copied):
    whole = load_weights(str(published), CPU)
    (copied / SINGLE).unlink()
    save_file({n.removeprefix("model."): t for n, t in whole.items()}, copied / SINGLE)
    found = load_weights(str(copied), CPU)
    assert set(found) == set(whole)
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_a_checkpoint_in_shards_has_the_same_weights(published, copied):
    whole = load_weights(str(published), CPU)
    (copied / SINGLE).unlink()
    names, weight_map = sorted(whole), {}
    for number in range(3):
        shard = f"model-{number}.safetensors"
        save_file({name: whole[name] for name in names[number::3]}, copied / shard)
        weight_map |= dict.fromkeys(names[number::3], shard)
    (copied / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    found = load_weights(str(copied), CPU)
    assert set(found) == set(whole)
    assert all(torch.equal(found[name], whole[name]) for name in whole)
    (copied / shard).unlink()
    with pytest.raises(ModelLoadError, match=f"cannot load .*{shard}"):
        load_whisper(str(copied), CPU, "float32")


def test_what_transformers_5_writes_is_read_by_both(published, copied):
    """There special tokens are a list, and the features' settings are in another file."""
    (copied / GENERATION).write_bytes((published / GENERATION).read_bytes())
    settings = json.loads((published / "tokenizer_config.json").read_text())
    for name in ("tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json"):
        (copied / name).unlink()
    settings["extra_special_tokens"] = settings.pop("additional_special_tokens")
    settings["tokenizer_class"] = "TokenizersBackend"
    del settings["added_tokens_decoder"]
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    features = copied / "preprocessor_config.json"
    inner = json.loads(features.read_text())
    features.unlink()
    (copied / "processor_config.json").write_text(json.dumps({"feature_extractor": inner}))
    assert vocabulary_of(copied) == vocabulary_of(published)


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
