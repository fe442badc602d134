"""The prompt of a request: the text that a recording might continue, and its key terms."""

from __future__ import annotations

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError
from asr_diarization.whisper.key_terms import prompt_of
from asr_diarization.whisper.vocabulary import Vocabulary

MAX_PROMPT_TOKENS = 223
"""Half of Whisper's 448 positions, less one: the rest is for the transcript."""


def prompt_tokens(
    vocabulary: Vocabulary, parameters: InferenceConfig, *, with_terms: bool = False
) -> list[int]:
    """The tokens before the start token; of a long `initial_prompt`, the last ones.

    Key terms come last, so that they are nearest to the text, and are never cut.

    Raises:
        InvalidParameterError: a text holds special tokens, or there are too many key terms.
    """
    terms, text = [], []
    if with_terms and parameters.keyterms:
        terms = vocabulary.encode_prompt(prompt_of(parameters.keyterms), "keyterms")
        if len(terms) > MAX_PROMPT_TOKENS:
            raise InvalidParameterError(
                f"keyterms are {len(terms)} tokens of Whisper; it reads at most "
                f"{MAX_PROMPT_TOKENS}: send fewer or shorter ones"
            )
    if parameters.initial_prompt is not None:
        text = vocabulary.encode_prompt(parameters.initial_prompt, "initial_prompt")
    return [*text, *terms][-MAX_PROMPT_TOKENS:]
