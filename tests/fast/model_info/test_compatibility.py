"""Whether an assistant fits a model, from their configurations."""

from __future__ import annotations

import pytest

from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.compatibility import check_fit, fit_of_config

CONFIG = {"vocab_size": 51866, "num_mel_bins": 128, "max_target_positions": 448}
GENERATION = {
    "is_multilingual": True,
    "lang_to_id": {"<|en|>": 50259},
    "decoder_start_token_id": 50258,
    "eos_token_id": 50257,
    "no_timestamps_token_id": 50364,
}


@pytest.mark.parametrize(
    ("config", "generation", "complaint"),
    [
        ({"vocab_size": 51865}, {}, "vocabulary 51865 against 51866"),
        ({"num_mel_bins": 80}, {}, "mel bins 80 against 128"),
        ({}, {"is_multilingual": False}, "languages English only against multilingual"),
        ({}, {"eos_token_id": 1}, "special tokens"),
    ],
)
def test_an_assistant_of_another_family(config, generation, complaint):
    model = fit_of_config("A", CONFIG, GENERATION)
    check_fit(model, fit_of_config("B", CONFIG, GENERATION))
    with pytest.raises(ModelLoadError, match=complaint):
        check_fit(model, fit_of_config("B", CONFIG | config, GENERATION | generation))
