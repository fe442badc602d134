"""Whether an assistant can draft for a model: properties that both must share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from asr_diarization.errors import ModelLoadError

MULTILINGUAL_VOCABULARY = 51865
"""Smaller vocabularies are those of the English-only models (OpenAI's own criterion)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Properties of a Whisper checkpoint that its assistant must share."""

    name: str
    vocabulary: int
    languages: str
    """`multilingual` or `English only`."""
    special_tokens: tuple[int | None, ...]
    """Start, end, no timestamps."""
    mel_bins: int
    positions: int


def fit_of_config(name: str, config: Mapping[str, Any], generation: Mapping[str, Any]) -> Fit:
    """From `config.json` and `generation_config.json`: no weights are needed."""
    size = config["vocab_size"]
    multilingual = is_multilingual(size, generation.get("is_multilingual"))
    return Fit(
        name,
        vocabulary=size,
        languages=spelled_languages(is_multilingual=multilingual),
        special_tokens=tuple(
            generation.get(key)
            for key in ("decoder_start_token_id", "eos_token_id", "no_timestamps_token_id")
        ),
        mel_bins=config["num_mel_bins"],
        positions=config["max_target_positions"],
    )


def is_multilingual(vocabulary_size: int, stated: bool | None = None) -> bool:
    """Whether a Whisper checkpoint knows more languages than English.

    Args:
        vocabulary_size: `vocab_size` of `config.json`.
        stated: `is_multilingual` of the generation config, which old ones lack.
    """
    return vocabulary_size >= MULTILINGUAL_VOCABULARY if stated is None else bool(stated)


def spelled_languages(*, is_multilingual: bool) -> str:
    """The text that error messages use."""
    return "multilingual" if is_multilingual else "English only"


def check_fit(model: Fit, assistant: Fit) -> None:
    """Refuse an assistant that cannot draft for `model`.

    Raises:
        ModelLoadError: vocabulary, languages or features differ; the message names both models.
    """
    expected, found = asdict(model), asdict(assistant)
    for field in expected:
        is_known = _is_known(expected[field]) and _is_known(found[field])
        if field != "name" and is_known and expected[field] != found[field]:
            raise ModelLoadError(
                f"ASSISTANT_MODEL {assistant.name} does not fit ASR_MODEL {model.name}: "
                f"{field.replace('_', ' ')} {found[field]} against {expected[field]}"
            )


def _is_known(value: object) -> bool:
    """Whether the configuration has every part of the value."""
    return not (isinstance(value, tuple) and None in value)
