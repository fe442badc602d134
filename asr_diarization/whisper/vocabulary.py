"""Whisper's token ids: which ones steer the decoder, and what the others spell."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from asr_diarization.errors import InvalidParameterError

SPACELESS_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Written without spaces between words; there, each character counts as a word."""
NO_TIMESTAMPS = "<|notimestamps|>"
FIRST_MULTILINGUAL_NO_TIMESTAMPS = 50363
"""Its id in the first multilingual vocabulary; English-only ones have one token less before it."""
OPENING_PUNCTUATION = "\"'“¿([{-"
CLOSING_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"


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
    """Never said. (Whisper's begin-suppressed tokens need no list: it begins with a timestamp.)"""
    max_initial_timestamp: int
    """Largest first timestamp, in steps of 20 ms."""
    tokenizer: Any

    @property
    def first_timestamp(self) -> int:
        """`<|0.00|>`; from here on, every id is 20 ms later."""
        return self.no_timestamps + 1

    @property
    def is_multilingual(self) -> bool:
        """Whether language and task are part of the prefix."""
        return bool(self.languages)

    @classmethod
    def load(cls, generation_config: Any, tokenizer: Any) -> Vocabulary:
        """From transformers' `GenerationConfig` of a Whisper checkpoint and its fast tokenizer.

        What an old or fine-tuned checkpoint's configuration does not say, the tokenizer's ids do.
        """
        config = generation_config
        id_of: Callable[[str], int] = tokenizer.convert_tokens_to_ids
        no_timestamps = getattr(config, "no_timestamps_token_id", None) or id_of(NO_TIMESTAMPS)
        is_multilingual = getattr(config, "is_multilingual", None)
        if is_multilingual is None:
            is_multilingual = no_timestamps >= FIRST_MULTILINGUAL_NO_TIMESTAMPS
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
            tasks=dict(tasks) if is_multilingual else {},
            languages={k.strip("<|>"): v for k, v in languages.items()} if is_multilingual else {},
            suppressed=(*(config.suppress_tokens or ()), no_timestamps),
            max_initial_timestamp=getattr(config, "max_initial_timestamp_index", None) or 50,
            tokenizer=tokenizer,
        )

    def language_code(self, language: str) -> str:
        """The code of a language given as a code, a name or a token, in any case.

        Raises:
            InvalidParameterError: the checkpoint does not know it.
        """
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        wanted = language.strip().strip("<|>").lower()
        code: str = TO_LANGUAGE_CODE.get(wanted, wanted)
        if code not in (self.languages or {"en": 0}):
            known = (
                ", ".join(sorted(self.languages)) if self.languages else "en (English-only model)"
            )
            raise InvalidParameterError(
                f"language {language!r} is not known to this model; it knows {known}"
            )
        return code

    def prefix(self, language: str | None, task: str, prompt: Sequence[int] = ()) -> list[int]:
        """The forced tokens before the first free one: prompt, start, language, task."""
        head = [self.previous, *prompt] if prompt else []
        if not self.is_multilingual:
            return [*head, self.start]
        return [*head, self.start, self.languages[language or "en"], self.tasks[task]]

    def encode_prompt(self, text: str, limit: int) -> list[int]:
        """Token ids of a prompt, the last `limit` of them.

        Raises:
            InvalidParameterError: it holds marks that steer the decoder, such as `<|en|>`.
        """
        ids = list(self.tokenizer(" " + text.strip(), add_special_tokens=False)["input_ids"])
        if marks := [token for token in ids if token >= self.end]:
            mark = self.tokenizer.convert_ids_to_tokens(marks[0])
            raise InvalidParameterError(
                f"initial_prompt must be plain text; it holds {mark!r}, which steers the decoder"
            )
        return ids[-limit:]

    def text(self, tokens: Iterable[int]) -> str:
        """What text tokens spell; anything from the end token upwards is left out."""
        return self._spell([token for token in tokens if token < self.end])

    def split_words(
        self, tokens: Sequence[int], language: str | None
    ) -> list[tuple[str, list[int]]]:
        """Text tokens as words, each with its ids; the words joined are the text.

        A word starts at a space (or at every character in scripts without spaces); punctuation
        belongs to the word it touches.
        """
        characters = self._split_characters(tokens)
        if language in SPACELESS_LANGUAGES:
            return _merge_punctuation(characters)
        words: list[tuple[str, list[int]]] = []
        for text, ids in characters:
            if not words or text.startswith(" ") or text.strip() in string.punctuation:
                words.append((text, ids))
            else:
                words[-1] = (words[-1][0] + text, words[-1][1] + ids)
        return _merge_punctuation(words)

    def _split_characters(self, tokens: Sequence[int]) -> list[tuple[str, list[int]]]:
        """Smallest groups of tokens that spell whole characters."""
        groups: list[tuple[str, list[int]]] = []
        pending = b""
        ids: list[int] = []
        for token in tokens:
            pending += self._bytes(token)
            ids.append(token)
            try:
                groups.append((pending.decode(), ids))
            except UnicodeDecodeError:
                continue
            pending, ids = b"", []
        if ids:
            groups.append((pending.decode(errors="replace"), ids))
        return groups

    def _spell(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self._bytes, tokens)).decode(errors="replace")

    def _bytes(self, token: int) -> bytes:
        return bytes(self._byte_of[c] for c in self.tokenizer.convert_ids_to_tokens(token))

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        """GPT-2's byte alphabet, backwards: printable bytes stand for themselves."""
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        shifted = {chr(256 + i): byte for i, byte in enumerate(others)}
        return {**{chr(byte): byte for byte in printable}, **shifted}


def _merge_punctuation(words: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """Opening marks join the word behind them, closing marks the word before."""
    merged: list[tuple[str, list[int]]] = []
    opening: tuple[str, list[int]] = ("", [])
    for text, ids in words:
        bare = text.strip()
        if bare and text.startswith(" ") and bare in OPENING_PUNCTUATION:
            opening = (opening[0] + text, opening[1] + ids)
        elif merged and not opening[0] and bare in CLOSING_PUNCTUATION and not text.startswith(" "):
            merged[-1] = (merged[-1][0] + text, merged[-1][1] + ids)
        else:
            merged.append((opening[0] + text, opening[1] + ids))
            opening = ("", [])
    if opening[0]:
        merged.append(opening)
    return merged
