"""Warnings about text that may be wrong: foreign scripts, broken characters, low confidence."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from asr_diarization.config import InferenceConfig
from asr_diarization.transcript import Segment, Span

LOW_PROBABILITY = 0.45
"""Segments below it, by `Segment.word_probability`, are doubtful ..."""
LOW_SECONDS = 3.0
"""... and are named if they and their neighbours last at least this long."""
MAX_TIMES = 5
"""Times that one warning names."""
SCRIPTS = {
    "ARABIC": "ar fa ur ps sd",
    "ARMENIAN": "hy",
    "BENGALI": "bn as",
    "CJK": "zh yue ja ko",
    "CYRILLIC": "ru uk bg be mk sr kk mn tg tt ba az uz",
    "DEVANAGARI": "hi mr ne sa",
    "ETHIOPIC": "am",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he yi",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "TIBETAN": "bo",
}
"""Script, as Unicode's names of characters begin -> codes of the languages that are written in it.
Languages without one are written in LATIN."""
MIN_LATIN_LETTERS = 12
MIN_LATIN_SHARE = 0.75
ALSO_LATIN = frozenset(["sr", "az", "uz"])
"""Written in both."""


def doubtful_text(segments: Sequence[Segment], parameters: InferenceConfig) -> tuple[str, ...]:
    """A sentence for each kind of doubt about the text of a transcript, with the times of it.

    Args:
        segments: sorted by start.
        parameters: of the request; a translation is in English whatever the language.
    """
    translated = parameters.task == "translate"
    broken = [segment for segment in segments if "\N{REPLACEMENT CHARACTER}" in segment.text]
    warnings = []
    if broken:
        warnings.append(f"the text has broken characters (U+FFFD) at {_times(broken)}")
    by_language: dict[str, list[Segment]] = {}
    for segment in segments:
        language = "en" if translated else segment.language
        if language is not None and has_foreign_script(segment.text, language):
            by_language.setdefault(language, []).append(segment)
    for language, foreign in by_language.items():
        warnings.append(
            f"the text at {_times(foreign)} is in a script that language {language!r} is not "
            "written in: if the language is wrong, set it"
        )
    if runs := list(_low_runs(segments)):
        warnings.append(
            f"the text at {_times(runs)} has a low confidence: words may be wrong or invented"
        )
    return tuple(warnings)


def has_foreign_script(text: str, language: str) -> bool:
    """Whether letters are in a script that `language` is not written in.

    Where another script is usual, names are often left in Latin letters; there, Latin is foreign
    only if `MIN_LATIN_LETTERS` of them make up most of the text.
    """
    letters = Counter(unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha())
    own = {script for script, languages in SCRIPTS.items() if language in languages.split()}
    is_latin = not own or language in ALSO_LATIN
    foreign = sum(letters[script] for script in SCRIPTS if script not in own)
    if foreign > 0 or is_latin:
        return foreign > 0
    latin = letters["LATIN"]
    return latin >= MIN_LATIN_LETTERS and latin > MIN_LATIN_SHARE * letters.total()


def _low_runs(segments: Iterable[Segment]) -> Iterator[Span]:
    """Consecutive segments of low probability, joined, if they are long."""
    for is_low, run in groupby(segments, lambda s: s.word_probability < LOW_PROBABILITY):
        of_run = list(run)
        if is_low and sum(s.end - s.start for s in of_run) >= LOW_SECONDS:
            end = max(segment.end for segment in of_run)
            yield Segment(of_run[0].start, end, "")


def _times(spans: Sequence[Span]) -> str:
    times = ", ".join(f"{span.start:.1f} to {span.end:.1f} s" for span in spans[:MAX_TIMES])
    more = len(spans) - MAX_TIMES
    return f"{times} and {more} more" if more > 0 else times
