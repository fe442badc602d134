"""Which checkpoints are multilingual: one rule, for the loaded model and for its files alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from asr_diarization.model_info.compatibility import fit_of_config, is_multilingual
from asr_diarization.whisper.vocabulary import Vocabulary

SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|es|>",
    "<|translate|>",
    "<|transcribe|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)


class Tokens:
    """A tokenizer of special tokens only."""

    def convert_tokens_to_ids(self, token):
        return SPECIAL.index(token)

    def convert_ids_to_tokens(self, number):
        return SPECIAL[number]


def generation(**stated):
    return SimpleNamespace(decoder_start_token_id=1, eos_token_id=0, suppress_tokens=None, **stated)


SIZES = [(51863, False), (51864, False), (51865, True), (51866, True)]


@pytest.mark.parametrize("stated", [None, True, False])
@pytest.mark.parametrize(("size", "by_size"), SIZES)
def test_what_the_generation_config_states_comes_before_the_size(size, by_size, stated):
    expected = by_size if stated is None else stated
    assert is_multilingual(size, stated) is expected
    loaded = Vocabulary.load(generation(is_multilingual=stated), Tokens(), size)
    assert loaded.is_multilingual is expected
    assert loaded.languages == ({"en": 2, "es": 3} if expected else {})
    config = {"vocab_size": size, "num_mel_bins": 80, "max_target_positions": 448}
    files = fit_of_config("x", config, {"is_multilingual": stated})
    assert files.languages == ("multilingual" if expected else "English only")


@pytest.mark.parametrize(("size", "by_size"), SIZES)
def test_an_old_generation_config_does_not_state_it(size, by_size):
    assert is_multilingual(size) is by_size
    assert Vocabulary.load(generation(), Tokens(), size).is_multilingual is by_size
