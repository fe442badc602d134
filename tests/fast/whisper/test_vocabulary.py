"""Which checkpoints are multilingual, and which tokens are a word."""

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


def pieces(*texts):
    """A vocabulary whose tokens are these texts, or bytes, and their ids."""
    spelled = [text if isinstance(text, bytes) else text.encode() for text in texts]

    class Spelling(Tokens):
        def convert_ids_to_tokens(self, number):
            return "".join(character_of[byte] for byte in spelled[number])

    vocabulary = Vocabulary(
        start=0,
        end=len(texts),
        previous=0,
        no_speech=0,
        no_timestamps=0,
        tasks={},
        languages={},
        suppressed=(),
        max_initial_timestamp=0,
        tokenizer=Spelling(),
    )
    character_of = {byte: character for character, byte in vocabulary._byte_of.items()}
    return vocabulary, list(range(len(texts)))


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ((" for", " $", "1", ",", "250", " and"), (" for", " $1,250", " and")),
        ((" 21", ".", "5", "%", " more"), (" 21.5%", " more")),
        ((" at", " 3", ".", "30", "pm", "."), (" at", " 3.30pm.")),
        ((" well", "-", "known", " U", ".", "S", ".", "A", "."), (" well-known", " U.S.A.")),
        ((" aujourd", "'", "hui", "?"), (" aujourd'hui?",)),
        ((" don", "'t", " (", "yes", ")", ",", ' "', "Hi", '!"'), (" don't", " (yes),", ' "Hi!"')),
        ((" Quoi", " ?", " ¿", "Qué", "?"), (" Quoi ?", " ¿Qué?")),
        ((" yes", "—", "no", "...", "what"), (" yes—", "no...", "what")),
        ((" a", " ", " b", " "), (" a", "  b ")),  # no word is blank
        (("これ", "は", "「", "本", "」", "です", "。"), ("これ", "は", "「本」", "です。")),
        (("1", ",", "250", "円", "i", "Phone"), ("1,250", "円", "iPhone")),
        (("ว", "ั", "น"), ("วั", "น")),  # a mark belongs to its letter
        ((" 電"[:2].encode()[:2], " 電".encode()[2:], "球"), (" 電", "球")),
        ((" good", b"\xe3", " bye", " now"), (" good\ufffd", " bye", " now")),
        ((" bye", b"\xe3"), (" bye\ufffd",)),
    ],
)
def test_words_are_not_cut_inside(tokens, words):
    vocabulary, ids = pieces(*tokens)
    split = vocabulary.split_words(ids)
    assert tuple(text for text, _ in split) == words
    assert [token for _, of_word in split for token in of_word] == ids
    assert "".join(words) == vocabulary.text(ids)
