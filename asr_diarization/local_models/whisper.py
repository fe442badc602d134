"""Converts Whisper from CTranslate2's format to a directory that transformers loads.

The conversion is lossless: OpenAI's weights are float16, and so are both files. The config asks
for float32, as OpenAI's own on the hub do, because a CPU computes it best.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from asr_diarization.errors import ModelLoadError
from asr_diarization.local_models.ctranslate2 import ModelFile, read_model_file
from asr_diarization.model_info.compatibility import is_multilingual

MAX_TOKENS = 448
TIMESTAMPS = tuple(f"<|{step * 0.02:.2f}|>" for step in range(1501))
"""`<|0.00|>` to `<|30.00|>`, in the order of their ids."""
FIRST_MERGE = "Ġ t"
"""One wheel lacks this merge, lost with the comment line above it; then " there" is two tokens."""

Array = NDArray[np.generic]
Parts = Iterator[tuple[str, Array]]


def write_whisper(source: Path, target: Path) -> None:
    """Fill `target` with what `WhisperForConditionalGeneration` and `WhisperProcessor` load.

    Args:
        source: a directory with CTranslate2's `model.bin`, `config.json` and `tokenizer.json`.
        target: an existing directory.

    Raises:
        ModelLoadError: `source` does not hold a Whisper model.
    """
    model = read_model_file(source / "model.bin")
    if model.specification != "WhisperSpec":
        raise ModelLoadError(f"{source} holds a {model.specification}, expected a WhisperSpec")
    hints = json.loads((source / "config.json").read_text(encoding="utf-8"))
    tokenizer = complete_tokenizer(
        json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    )
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    config = model_config(model, ids)
    weights = {name: np.ascontiguousarray(array) for name, array in to_transformers(model)}
    (target / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    _write_json(target / "config.json", config)
    _write_json(target / "generation_config.json", generation_config(hints, config, ids))
    _write_json(target / "preprocessor_config.json", preprocessor_config(config))
    write_tokenizer(tokenizer, target)


def to_transformers(model: ModelFile) -> Parts:
    """Every weight of `model` under transformers' name; the other arrays are settings."""
    arrays = model.arrays
    for side in ("encoder", "decoder"):
        inner = "embed_positions.weight"
        yield f"model.{side}.{inner}", arrays[f"{side}/position_encodings/encodings"]
        yield from _norm(arrays, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for number in range(_layers(arrays, side)):
            yield from _layer(arrays, f"{side}/layer_{number}", f"model.{side}.layers.{number}")
    for name in ("conv1", "conv2"):
        yield from _linear(arrays, f"encoder/{name}", f"model.encoder.{name}")
    yield "model.decoder.embed_tokens.weight", arrays["decoder/embeddings/weight"]


def _layers(arrays: Mapping[str, Array], side: str) -> int:
    return len(
        {name.split("/")[1] for name in arrays if name.startswith(f"{side}/layer_")}
        - {"layer_norm"}
    )


def _layer(arrays: Mapping[str, Array], old: str, new: str) -> Parts:
    yield from _norm(arrays, f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm")
    stacked = (f"{new}.self_attn.{part}_proj" for part in "qkv")
    yield from _split(arrays, f"{old}/self_attention/linear_0", tuple(stacked))
    yield from _linear(arrays, f"{old}/self_attention/linear_1", f"{new}.self_attn.out_proj")
    if f"{old}/attention/linear_0/weight" in arrays:
        yield from _norm(arrays, f"{old}/attention/layer_norm", f"{new}.encoder_attn_layer_norm")
        yield from _linear(arrays, f"{old}/attention/linear_0", f"{new}.encoder_attn.q_proj")
        stacked = (f"{new}.encoder_attn.{part}_proj" for part in "kv")
        yield from _split(arrays, f"{old}/attention/linear_1", tuple(stacked))
        yield from _linear(arrays, f"{old}/attention/linear_2", f"{new}.encoder_attn.out_proj")
    yield from _norm(arrays, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
    for number in (0, 1):
        yield from _linear(arrays, f"{old}/ffn/linear_{number}", f"{new}.fc{number + 1}")


def _norm(arrays: Mapping[str, Array], old: str, new: str) -> Parts:
    yield f"{new}.weight", arrays[f"{old}/gamma"]
    yield f"{new}.bias", arrays[f"{old}/beta"]


def _linear(arrays: Mapping[str, Array], old: str, new: str) -> Parts:
    yield f"{new}.weight", arrays[f"{old}/weight"]
    yield f"{new}.bias", arrays[f"{old}/bias"]


def _split(arrays: Mapping[str, Array], old: str, new: tuple[str, ...]) -> Parts:
    """Projections that CTranslate2 stacks; it stores a zero bias for keys, which Whisper lacks."""
    weights = np.split(arrays[f"{old}/weight"], len(new))
    biases = np.split(arrays[f"{old}/bias"], len(new))
    for name, weight, bias in zip(new, weights, biases, strict=True):
        yield f"{name}.weight", weight
        if not name.endswith("k_proj"):
            yield f"{name}.bias", bias


def model_config(model: ModelFile, ids: Mapping[str, int]) -> dict[str, Any]:
    """`config.json`, with sizes from the shapes of the arrays."""
    arrays = model.arrays
    vocabulary, width = arrays["decoder/embeddings/weight"].shape
    end = ids["<|endoftext|>"]
    sizes: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sizes[f"{side}_layers"] = _layers(arrays, side)
        sizes[f"{side}_attention_heads"] = int(arrays[f"{side}/num_heads"])
        sizes[f"{side}_ffn_dim"] = arrays[f"{side}/layer_0/ffn/linear_0/bias"].shape[0]
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "d_model": width,
        "vocab_size": vocabulary,
        "num_mel_bins": arrays["encoder/conv1/weight"].shape[1],
        "max_source_positions": arrays["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": arrays["decoder/position_encodings/encodings"].shape[0],
        **sizes,
        "num_hidden_layers": sizes["encoder_layers"],
        "activation_function": "gelu",
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "init_std": 0.02,
        "is_encoder_decoder": True,
        "scale_embedding": False,
        "use_cache": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
        "torch_dtype": "float32",
    }


def generation_config(
    hints: Mapping[str, Any], config: Mapping[str, Any], ids: Mapping[str, int]
) -> dict[str, Any]:
    """`generation_config.json`, as OpenAI publishes it.

    Args:
        hints: CTranslate2's `config.json`.
        config: transformers' `config.json`.
        ids: of the special tokens.
    """
    multilingual = is_multilingual(config["vocab_size"])
    common = {
        "alignment_heads": hints["alignment_heads"],
        "begin_suppress_tokens": hints["suppress_ids_begin"],
        "suppress_tokens": hints["suppress_ids"],
        "bos_token_id": config["bos_token_id"],
        "decoder_start_token_id": config["decoder_start_token_id"],
        "eos_token_id": config["eos_token_id"],
        "pad_token_id": config["pad_token_id"],
        "is_multilingual": multilingual,
        "max_initial_timestamp_index": 50,
        "max_length": MAX_TOKENS,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "return_timestamps": False,
        # Since 4.50, transformers lets a model's own values override the request's, unless the
        # model is older; that would bring back the forced ids it has just turned into a prompt.
        "transformers_version": "4.31.0.dev0",
    }
    if not multilingual:
        return common | {"forced_decoder_ids": [[1, ids["<|notimestamps|>"]]]}
    start, languages = ids["<|startoftranscript|>"], ids["<|translate|>"]
    return common | {
        "forced_decoder_ids": [[1, None], [2, ids["<|transcribe|>"]]],
        "lang_to_id": {token: id_ for token, id_ in ids.items() if start < id_ < languages},
        "task_to_id": {task: ids[f"<|{task}|>"] for task in ("transcribe", "translate")},
    }


def preprocessor_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """`preprocessor_config.json`: 30 s of log-mel spectrogram at 100 frames a second."""
    return {
        "chunk_length": 30,
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": config["num_mel_bins"],
        "hop_length": 160,
        "n_fft": 400,
        "n_samples": 480000,
        "nb_max_frames": 3000,
        "padding_side": "right",
        "padding_value": 0.0,
        "processor_class": "WhisperProcessor",
        "return_attention_mask": False,
        "sampling_rate": 16000,
    }


def complete_tokenizer(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """`tokenizer` with the timestamp tokens and the first merge, which the wheels may lack.

    Timestamps are ordinary tokens, not special ones: transformers recognizes them by their ids.
    """
    model, tokens = dict(tokenizer["model"]), list(tokenizer["added_tokens"])
    if model["merges"][0] != FIRST_MERGE:
        model["merges"] = [FIRST_MERGE, *model["merges"]]
    first = 1 + max(token["id"] for token in tokens)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    for number, content in enumerate(TIMESTAMPS, start=first):
        tokens.append({"id": number, "content": content, **flags, "special": False})
    return {**tokenizer, "model": model, "added_tokens": tokens}


def write_tokenizer(tokenizer: Mapping[str, Any], target: Path) -> None:
    """Write `tokenizer.json`, and the files that transformers 4 needs beside it."""
    _write_json(target / "tokenizer.json", tokenizer)
    _write_json(target / "vocab.json", tokenizer["model"]["vocab"])
    text = "\n".join(("#version: 0.2", *tokenizer["model"]["merges"])) + "\n"
    (target / "merges.txt").write_text(text, encoding="utf-8")
    end = "<|endoftext|>"
    special = [token["content"] for token in tokenizer["added_tokens"] if token["special"]]
    names = {"bos_token": end, "eos_token": end, "pad_token": end, "unk_token": end}
    names_and_special = names | {"additional_special_tokens": special}
    _write_json(target / "special_tokens_map.json", names_and_special)
    decoder = {
        str(token["id"]): {key: value for key, value in token.items() if key != "id"}
        for token in tokenizer["added_tokens"]
    }
    _write_json(
        target / "tokenizer_config.json",
        names_and_special
        | {
            "add_bos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": decoder,
            "clean_up_tokenization_spaces": False,
            "errors": "replace",
            "model_max_length": 1024,
            "processor_class": "WhisperProcessor",
            "return_attention_mask": False,
            "tokenizer_class": "WhisperTokenizer",
        },
    )


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
