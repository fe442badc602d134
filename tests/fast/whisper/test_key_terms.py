"""Key terms are written where something like them is heard, and nowhere else."""

from __future__ import annotations

import pytest

from asr_diarization.config import MAX_KEYTERMS, InferenceConfig
from asr_diarization.errors import InvalidParameterError
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.key_terms import correct
from asr_diarization.whisper.prompts import MAX_PROMPT_TOKENS, prompt_tokens
from asr_diarization.whisper.vocabulary import Vocabulary

TERMS = ("Delmonico", "lobster Newburgh", "PyTorch", "Diane", "Eunuch", "Ann")
END = 256


class Bytes:
    """A tokenizer with a token for each byte; `<` is special."""

    def __call__(self, text, *, add_special_tokens):
        return {"input_ids": [END if byte == ord("<") else byte for byte in text.encode()]}

    def convert_ids_to_tokens(self, number):
        names = {byte: name for name, byte in VOCABULARY._byte_of.items()}
        return names.get(number, "<|x|>")


VOCABULARY = Vocabulary(END + 1, END, END + 2, END, END, {}, {}, (), 50, Bytes())


def decoded(text, log_probability=-0.2):
    """Tokens of a text; `|` is a timestamp. The end has a log-probability, too."""
    tokens = tuple(END + 9 if byte == ord("|") else byte for byte in text.encode())
    return Decoded(tokens, (log_probability,) * (len(tokens) + 1))


def corrected(plain, prompted, terms=TERMS):
    found = correct(decoded(plain), decoded(prompted, -0.5), terms, VOCABULARY)
    assert len(found.log_probabilities) == len(found.tokens) + 1
    return bytes(min(token, ord("|")) if token > END else token for token in found.tokens).decode()


@pytest.mark.parametrize(
    ("plain", "prompted", "expected"),
    [
        (" It is in the del Monaco.", " It is in the Delmonico.", " It is in the Delmonico."),
        (" We use pie torch here.", " We use PyTorch here.", " We use PyTorch here."),
        (" We use Pytorch here.", " We use PyTorch here.", " We use PyTorch here."),
        (" A lobster Newberg", " A lobster Newburgh.", " A lobster Newburgh."),
        (" Dianne.", " Diane.", " Diane."),
        (" Pytorch and pytorch", " PyTorch and PyTorch", " PyTorch and PyTorch"),
        (" The unok's robe", " The Eunuch's robe", " The Eunuch's robe"),
        (" del Monaco and pie torch", " Delmonico and PyTorch", " Delmonico and PyTorch"),
        # what else the prompt changes stays as it was
        (
            " The more in del Monaco. I go.",
            " The moat in Delmonico.",
            " The more in Delmonico. I go.",
        ),
        ("| Yes.|| Dianne.|", "| No.|| Diane.|", "| Yes.|| Diane.|"),
    ],
)
def test_a_term_replaces_what_is_like_it_and_nothing_else(plain, prompted, expected):
    assert corrected(plain, prompted) == expected


@pytest.mark.parametrize(
    ("plain", "prompted"),
    [
        ("", " Delmonico, PyTorch, Diane."),  # silence
        (" Yes.", " Diane."),  # a short answer
        (" No.", " Ann."),
        (" Okay.", " Eunuch."),
        (" Thank you.", " Thank you, Diane."),
        (" I do not know.", " Delmonico, PyTorch."),
        (" Hello. Diane speaking.", " Hello. Diane, Diane speaking."),
        (" Diane was there.", " Diane, was here!"),
        (" It was good.", " It was bad."),
        (" We use PyTorch.", " We use pytorch!"),  # not as told
        (" In del Monaco.", " In Del||monico."),  # a timestamp stands inside
    ],
)
def test_what_only_the_prompt_says_is_not_written(plain, prompted):
    assert corrected(plain, prompted) == plain


def test_words_in_scripts_without_spaces():
    terms = ("田中優子",)
    assert corrected("私は田中裕子です", "私は田中優子です", terms) == "私は田中優子です"
    assert corrected("はい", "田中優子", terms) == "はい"


def test_a_term_has_the_probability_of_its_own_tokens():
    found = correct(decoded(" Hi Dianne"), decoded(" Hi Diane", -0.5), TERMS, VOCABULARY)
    assert found.log_probabilities == (*[-0.2] * 3, *[-0.5] * 6, -0.2)


def text_of(tokens):
    return bytes(tokens).decode()


def test_terms_follow_the_prompt_and_are_never_cut():
    parameters = InferenceConfig(initial_prompt="x" * 300, keyterms=TERMS[2:4])
    assert text_of(prompt_tokens(VOCABULARY, parameters)) == "x" * MAX_PROMPT_TOKENS
    both = text_of(prompt_tokens(VOCABULARY, parameters, with_terms=True))
    assert both.endswith("x PyTorch, Diane.")
    assert len(both) == MAX_PROMPT_TOKENS
    assert prompt_tokens(VOCABULARY, InferenceConfig(), with_terms=True) == []


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (["x" * 99] * 3, r"keyterms are 3\d\d tokens of Whisper; it reads at most 223"),
        (["<x"], "keyterms must be plain text; it holds '<|x|>'"),
    ],
)
def test_terms_that_cannot_be_a_prompt_are_refused(terms, message):
    with pytest.raises(InvalidParameterError, match=message.replace("|", r"\|")):
        prompt_tokens(VOCABULARY, InferenceConfig(keyterms=terms), with_terms=True)


def test_there_is_a_limit():
    assert len(InferenceConfig(keyterms=["x"] * MAX_KEYTERMS).keyterms) == MAX_KEYTERMS
    for refused in (["x"] * (MAX_KEYTERMS + 1), [" "], ["x" * 101], ["\ud800"]):
        with pytest.raises(ValueError, match="keyterms"):
            InferenceConfig(keyterms=refused)
