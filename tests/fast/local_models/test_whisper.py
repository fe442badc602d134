import json

import numpy as np
import pytest

from asr_diarization.errors import ModelLoadError
from asr_diarization.local_models.ctranslate2 import ModelFile
from asr_diarization.local_models.whisper import (
    TIMESTAMPS,
    complete_tokenizer,
    generation_config,
    to_transformers,
    write_tokenizer,
    write_whisper,
)

SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>")
SPECIAL += ("<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>")
SPECIAL += ("<|notimestamps|>",)
IDS = {token: 100 + number for number, token in enumerate(SPECIAL)}
HINTS = {"alignment_heads": [[1, 0]], "suppress_ids": [1, 2], "suppress_ids_begin": [3, 100]}
CONFIG = {
    "bos_token_id": 100,
    "eos_token_id": 100,
    "pad_token_id": 100,
    "decoder_start_token_id": 101,
}


def tokenizer(merges):
    tokens = [{"id": id_, "content": token, "special": True} for token, id_ in IDS.items()]
    return {"model": {"vocab": {"Ġt": 0, "Ġa": 1}, "merges": merges}, "added_tokens": tokens}


def test_timestamps_are_those_of_whisper() -> None:
    assert (TIMESTAMPS[0], TIMESTAMPS[57], TIMESTAMPS[-1]) == ("<|0.00|>", "<|1.14|>", "<|30.00|>")
    assert len(TIMESTAMPS) == 1501


@pytest.mark.parametrize("merges", [["Ġ t", "Ġ a"], ["Ġ a"]])
def test_completes_a_tokenizer_without_touching_it(merges: list[str]) -> None:
    given = tokenizer(merges)
    before = json.dumps(given)
    done = complete_tokenizer(given)
    assert json.dumps(given) == before
    assert done["model"]["merges"] == ["Ġ t", "Ġ a"]
    added = {token["content"]: token for token in done["added_tokens"]}
    assert added["<|0.00|>"]["id"] == IDS["<|notimestamps|>"] + 1
    assert added["<|30.00|>"]["id"] == IDS["<|notimestamps|>"] + 1501
    assert not added["<|0.00|>"]["special"]


def test_writes_what_transformers_4_needs_beside_the_tokenizer(tmp_path) -> None:
    write_tokenizer(complete_tokenizer(tokenizer(["Ġ a"])), tmp_path)
    assert (tmp_path / "merges.txt").read_text() == "#version: 0.2\nĠ t\nĠ a\n"
    assert json.loads((tmp_path / "vocab.json").read_text()) == {"Ġt": 0, "Ġa": 1}
    special = json.loads((tmp_path / "special_tokens_map.json").read_text())
    assert tuple(special["additional_special_tokens"]) == SPECIAL


def test_multilingual_models_know_their_languages_and_tasks() -> None:
    config = generation_config(HINTS, CONFIG | {"vocab_size": 51865}, IDS)
    assert config["is_multilingual"]
    assert config["lang_to_id"] == {"<|en|>": 102, "<|de|>": 103}
    assert config["task_to_id"] == {"transcribe": 105, "translate": 104}
    assert config["forced_decoder_ids"] == [[1, None], [2, 105]]
    assert config["no_timestamps_token_id"] == 109


def test_english_only_models_have_neither() -> None:
    config = generation_config(HINTS, CONFIG | {"vocab_size": 51864}, IDS)
    assert not config["is_multilingual"]
    assert config.keys().isdisjoint({"lang_to_id", "task_to_id"})
    assert config["forced_decoder_ids"] == [[1, 109]]


def test_stacked_projections_come_apart_and_keys_lose_their_zero_bias() -> None:
    width = 2
    arrays = {}
    for side in ("encoder", "decoder"):
        arrays[f"{side}/position_encodings/encodings"] = np.zeros((3, width))
        for name in ("layer_norm", "layer_0/self_attention/layer_norm", "layer_0/ffn/layer_norm"):
            arrays[f"{side}/{name}/gamma"] = arrays[f"{side}/{name}/beta"] = np.zeros(width)
        for name in ("self_attention/linear_0", "self_attention/linear_1"):
            rows = 3 * width if name.endswith("0") else width
            arrays[f"{side}/layer_0/{name}/weight"] = np.arange(rows * width).reshape(rows, width)
            arrays[f"{side}/layer_0/{name}/bias"] = np.arange(rows)
        for number in (0, 1):
            arrays[f"{side}/layer_0/ffn/linear_{number}/weight"] = np.zeros((width, width))
            arrays[f"{side}/layer_0/ffn/linear_{number}/bias"] = np.zeros(width)
    for name in ("conv1", "conv2"):
        arrays[f"encoder/{name}/weight"] = arrays[f"encoder/{name}/bias"] = np.zeros(width)
    arrays["decoder/embeddings/weight"] = np.zeros((5, width))
    found = dict(to_transformers(ModelFile("WhisperSpec", arrays, {})))
    attention = "model.encoder.layers.0.self_attn"
    np.testing.assert_array_equal(found[f"{attention}.q_proj.weight"], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(found[f"{attention}.k_proj.weight"], [[4, 5], [6, 7]])
    np.testing.assert_array_equal(found[f"{attention}.v_proj.bias"], [4, 5])
    assert f"{attention}.k_proj.bias" not in found


def test_refuses_a_model_of_another_kind(tmp_path, monkeypatch) -> None:
    other = ModelFile("TransformerSpec", {}, {})
    monkeypatch.setattr("asr_diarization.local_models.whisper.read_model_file", lambda _: other)
    with pytest.raises(ModelLoadError, match="holds a TransformerSpec, expected a WhisperSpec"):
        write_whisper(tmp_path, tmp_path)
