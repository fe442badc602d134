"""The vocabulary of a Whisper checkpoint: its special tokens, and the text of the others."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from asr_diarization.errors import InvalidParameterError
from asr_diarization.merging import is_spaceless
from asr_diarization.model_info.compatibility import is_multilingual
from asr_diarization.whisper.language_codes import find_code

OPENING_PUNCTUATION = "\"'“¿¡([{-«「『（【《〈"
CLOSING_PUNCTUATION = "\"'.。,，!！?？:：;；”)]}、…»」』）】》〉・"
SPACED_CLOSING_PUNCTUATION = "!?:;»—–…"
"""Belongs to the word before it, with the space between them, as in French."""
BREAKS = ("—", "--", "…", "...")
"""A letter or digit after one of these starts a word."""


class Tokenizer(Protocol):
    """The part of a transformers tokenizer that is used."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> Mapping[str, list[int]]:
        """Ids of a text, under `input_ids`."""
        ...

    def convert_tokens_to_ids(self, tokens: str) -> int:
        """The id of a token."""
        ...

    def convert_ids_to_tokens(self, ids: int) -> str:
        """The token of an id."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """The ids of one checkpoint; `languages` is empty for English-only ones."""

    start: int
    end: int
    previous: int
    no_speech: int
    no_timestamps: int
    tasks: Mapping[str, int]
    languages: Mapping[str, int]
    suppressed: tuple[int, ...]
    """Never generated. (Begin-suppressed tokens need no list: the first one is a timestamp.)"""
    max_initial_timestamp: int
    """Largest first timestamp, in steps of 20 ms."""
    tokenizer: Tokenizer

    @property
    def first_timestamp(self) -> int:
        """`<|0.00|>`; each id after it is 20 ms later."""
        return self.no_timestamps + 1

    @property
    def is_multilingual(self) -> bool:
        """Whether language and task are part of the prefix."""
        return bool(self.languages)

    @classmethod
    def load(cls, generation_config: Any, tokenizer: Tokenizer, size: int) -> Vocabulary:
        """The vocabulary of a checkpoint.

        Old and fine-tuned checkpoints may lack some fields of the generation config; these are read
        from the tokenizer.

        Args:
            generation_config: transformers' `GenerationConfig`.
            tokenizer: transformers' fast tokenizer.
            size: `vocab_size` of the model's config.
        """
        config, id_of = generation_config, tokenizer.convert_tokens_to_ids
        no_timestamps = getattr(config, "no_timestamps_token_id", None)
        no_timestamps = no_timestamps or id_of("<|notimestamps|>")
        multilingual = is_multilingual(size, getattr(config, "is_multilingual", None))
        start = config.decoder_start_token_id or id_of("<|startoftranscript|>")
        end = config.eos_token_id or id_of("<|endoftext|>")
        languages = getattr(config, "lang_to_id", None)
        if languages is None:
            between = range(start + 1, id_of("<|translate|>"))
            languages = {tokenizer.convert_ids_to_tokens(token): token for token in between}
        tasks = getattr(config, "task_to_id", None)
        if tasks is None:
            tasks = {task: id_of(f"<|{task}|>") for task in ("transcribe", "translate")}
        return cls(
            start=start,
            end=end[0] if isinstance(end, list) else end,
            previous=no_timestamps - 2,
            no_speech=no_timestamps - 1,
            no_timestamps=no_timestamps,
            tasks=dict(tasks) if multilingual else {},
            languages={k.strip("<|>"): v for k, v in languages.items()} if multilingual else {},
            suppressed=(*(config.suppress_tokens or ()), no_timestamps),
            max_initial_timestamp=getattr(config, "max_initial_timestamp_index", None) or 50,
            tokenizer=tokenizer,
        )

    def language_code(self, language: str) -> str:
        """The code of a language; see `find_code` for its spellings.

        Raises:
            InvalidParameterError: the checkpoint does not know it.
        """
        code = find_code(language, self.languages or {"en": 0})
        if code is None:
            known = (
                ", ".join(sorted(self.languages)) if self.languages else "en (English-only model)"
            )
            raise InvalidParameterError(
                f"language {language!r} is not known to this model; it knows {known}"
            )
        return code

    def prefix(self, language: str | None, task: str, prompt: Sequence[int] = ()) -> list[int]:
        """The forced tokens of a window: prompt, start, language, task."""
        head = [self.previous, *prompt] if prompt else []
        if not self.is_multilingual:
            return [*head, self.start]
        return [*head, self.start, self.languages[language or "en"], self.tasks[task]]

    def encode_prompt(self, text: str, parameter: str) -> list[int]:
        """Token ids of the text of a parameter.

        Raises:
            InvalidParameterError: it holds special tokens, such as `<|en|>`.
        """
        ids = list(self.tokenizer(" " + text.strip(), add_special_tokens=False)["input_ids"])
        if special := [token for token in ids if token >= self.end]:
            first = self.tokenizer.convert_ids_to_tokens(special[0])
            raise InvalidParameterError(
                f"{parameter} must be plain text; it holds {first!r}, a special token of Whisper"
            )
        return ids

    def text(self, tokens: Iterable[int]) -> str:
        """The text of text tokens; ids from the end token upwards are left out."""
        spelled = b"".join(self._bytes(token) for token in tokens if token < self.end)
        return spelled.decode(errors="replace")

    def split_words(self, tokens: Sequence[int]) -> list[tuple[str, list[int]]]:
        """Text tokens as words, each with its ids; the words joined are the text.

        A word starts at a space, after a dash or an ellipsis, and at every character of scripts
        without spaces. Punctuation belongs to the word it touches; no word is blank.
        """
        words: list[tuple[str, list[int]]] = []
        for text, ids in self._split_characters(tokens):
            if words and not _starts_word(words[-1][0], text):
                words[-1] = (words[-1][0] + text, words[-1][1] + ids)
            else:
                words.append((text, ids))
        return _merge_punctuation(words)

    def _split_characters(self, tokens: Sequence[int]) -> list[tuple[str, list[int]]]:
        """The smallest groups of tokens that are whole characters; bytes of none become U+FFFD."""
        groups: list[tuple[str, list[int]]] = []
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        text = ""
        ids: list[int] = []
        for token in tokens:
            spelled = self._bytes(token)
            if ids and not _continues(spelled):
                groups.append((text + decoder.decode(b"", final=True), ids))
                text, ids = "", []
            text += decoder.decode(spelled)
            ids.append(token)
            if not decoder.getstate()[0]:  # no character is unfinished
                groups.append((text, ids))
                text, ids = "", []
        if ids:
            groups.append((text + decoder.decode(b"", final=True), ids))
        return groups

    def _bytes(self, token: int) -> bytes:
        return bytes(self._byte_of[c] for c in self.tokenizer.convert_ids_to_tokens(token))

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        """The byte of each character of GPT-2's alphabet; printable bytes are themselves."""
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        shifted = {chr(256 + i): byte for i, byte in enumerate(others)}
        return {**{chr(byte): byte for byte in printable}, **shifted}


def _continues(spelled: bytes) -> bool:
    """Whether UTF-8 that starts with these bytes continues a character."""
    return 0x80 <= spelled[0] < 0xC0 if spelled else True


def _starts_word(before: str, text: str) -> bool:
    """Whether `text` starts a word after `before`, which is not empty."""
    if not before.strip() or not text:
        return False
    if text[0].isspace():
        return True
    if unicodedata.category(text[0]).startswith("M"):  # a mark belongs to its letter
        return False
    if is_spaceless(text[0]) or is_spaceless(before[-1]):
        return True
    return text[0].isalnum() and before.endswith(BREAKS)


def _merge_punctuation(words: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """Opening punctuation joins the word after it, closing punctuation the word before it."""
    merged: list[tuple[str, list[int]]] = []
    opening: tuple[str, list[int]] = ("", [])
    for text, ids in words:
        bare = text.strip()
        if bare and bare in OPENING_PUNCTUATION and (text[0].isspace() or is_spaceless(bare)):
            opening = (opening[0] + text, opening[1] + ids)
        elif merged and not opening[0] and _closes(text):
            merged[-1] = (merged[-1][0] + text, merged[-1][1] + ids)
        else:
            merged.append((opening[0] + text, opening[1] + ids))
            opening = ("", [])
    if opening[0]:
        merged.append(opening)
    return merged


def _closes(text: str) -> bool:
    """Whether `text` is blank, or punctuation that belongs to the word before it."""
    bare = text.strip()
    if text[:1].isspace():
        return all(character in SPACED_CLOSING_PUNCTUATION for character in bare)
    return all(character in CLOSING_PUNCTUATION for character in bare)
