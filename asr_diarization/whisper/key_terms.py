"""Key terms: names and spellings that a caller expects, written only where they are heard.

Each window is decoded twice, without the terms and with them as a prompt (as faster-whisper's
`hotwords`). A prompt makes Whisper write terms that nobody said (in silence, in music, for short
answers), drop sentences and repeat itself. So of the second text only the terms are taken, each in
the place of words that are spelled alike or sound alike in the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.vocabulary import Vocabulary

MIN_LIKENESS = 0.6
"""Of a term and what stands in its place without the prompt (docs/quality.md)."""

_ALIKE = str.maketrans("bcdgqvxz", "pktkkfks")
_CONSONANTS = frozenset("fjklmnprstw")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a text, and its tokens `[first, last)`."""

    text: str
    first: int
    last: int

    @property
    def letters(self) -> str:
        return _letters(self.text)


@dataclass(frozen=True, slots=True)
class _Correction:
    """Tokens `[first, last)` of a text, and those to write in their place."""

    first: int
    last: int
    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]


def prompt_of(terms: Sequence[str]) -> str:
    """The prompt that has the terms."""
    return ", ".join(terms) + "."


def correct(
    plain: Decoded,
    prompted: Decoded,
    terms: Sequence[str],
    vocabulary: Vocabulary,
) -> Decoded:
    """`plain` with the terms that `prompted` has in the place of something like them."""
    corrections = _corrections(plain, prompted, terms, vocabulary)
    end = len(plain.tokens) + 1
    for one in sorted(corrections, key=lambda c: (c.last, c.first), reverse=True):
        if one.last <= end:  # corrections that overlap one behind them are left out
            tokens, log_probabilities = plain.tokens, plain.log_probabilities
            plain = replace(
                plain,
                tokens=(*tokens[: one.first], *one.tokens, *tokens[one.last :]),
                log_probabilities=(
                    *log_probabilities[: one.first],
                    *one.log_probabilities,
                    *log_probabilities[one.last :],
                ),
            )
            end = one.first
    return plain


def _corrections(
    plain: Decoded,
    prompted: Decoded,
    terms: Sequence[str],
    vocabulary: Vocabulary,
) -> Iterator[_Correction]:
    before, after = (_words(one, vocabulary) for one in (plain, prompted))
    mentions = [(term, *found) for term in terms for found in _mentions(after, _letters(term))]
    if not mentions:
        return
    old, new = ([word.letters for word in words] for words in (before, after))
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for term, first, last in mentions:
        replaced = _counterparts(before, changes, first, last)
        written, place = after[first:last], _most_alike(_letters(term), replaced)
        if place and _touch(written) and _improves(place, written, term):
            start, end = written[0].first, written[-1].last
            yield _Correction(
                place[0].first,
                place[-1].last,
                prompted.tokens[start:end],
                prompted.log_probabilities[start:end],
            )


def _counterparts(
    words: Sequence[_Word], changes: Sequence[tuple[str, int, int, int, int]], first: int, last: int
) -> list[_Word]:
    """Those of `words` that stand in the place of the other text's words `[first, last)`."""
    found: list[_Word] = []
    for change, i, j, k, m in changes:
        if change == "equal":
            found += words[i + max(first, k) - k : max(i, i + min(last, m) - k)]
        elif k < last and m > first:
            found += words[i:j]
    return found


def _words(decoded: Decoded, vocabulary: Vocabulary) -> list[_Word]:
    """The words of a text; timestamps stand between them."""
    words = []
    at = 0
    for is_text, run in groupby(decoded.tokens, lambda token: token < vocabulary.end):
        tokens = list(run)
        first = at
        at += len(tokens)
        for text, ids in vocabulary.split_words(tokens) if is_text else ():
            words.append(_Word(text, first, first + len(ids)))
            first += len(ids)
    return words


def _mentions(words: Sequence[_Word], term: str) -> Iterator[tuple[int, int]]:
    """Where `words` spell the letters `term`: `[first, last)`."""
    for first in range(len(words)):
        spelled = ""
        for last in range(first, len(words)):
            spelled += words[last].letters
            if spelled == term and words[first].letters and words[last].letters:
                yield first, last + 1
            if not term.startswith(spelled):
                break


def _most_alike(term: str, words: Sequence[_Word]) -> Sequence[_Word]:
    """The run of `words` that is most like `term`; none if none is like it."""
    best, found = 0.0, words[:0]
    for first in range(len(words)):
        for last in range(first + 1, len(words) + 1):
            run = words[first:last]
            letters = "".join(word.letters for word in run)
            if len(letters) > 2 * len(term) or not _touch(run):
                break
            if (likeness := _likeness(term, letters)) > best:
                best, found = likeness, run
    return found if best >= MIN_LIKENESS else words[:0]


def _touch(words: Sequence[_Word]) -> bool:
    """Whether no timestamp stands between the words."""
    return all(a.last == b.first for a, b in pairwise(words))


def _improves(before: Sequence[_Word], after: Sequence[_Word], term: str) -> bool:
    """Whether the words change; if only in their case or punctuation, to those of the term."""
    old, new = ("".join(word.text for word in words) for words in (before, after))
    return _letters(old) != _letters(new) or (term in new and term not in old)


def _letters(text: str) -> str:
    """Letters and digits alone, without case and without a genitive's end."""
    return re.sub(r"['\u2019]s\b|[\W_]", "", text).casefold()


def _likeness(a: str, b: str) -> float:
    """The share of letters that two texts have in common, and of sounds: the mean, 0 to 1."""
    of_letters, sounds = _ratio(a, b), (_sounds(a), _sounds(b))
    # One consonant says nothing (`No` and `Ann`), nor does a text in other letters.
    return (of_letters + _ratio(*sounds)) / 2 if min(map(len, sounds)) > 1 else of_letters


def _ratio(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _sounds(text: str) -> str:
    """The consonants of a text in Latin letters, those that sound alike as one letter.

    In `Eunuch` and `unok` they are the same.
    """
    letters = text.replace("ph", "f").replace("ch", "k").translate(_ALIKE)
    return "".join(letter for letter, _ in groupby(letters) if letter in _CONSONANTS)
