"""Merging: the words of a transcriber get the speakers of a diarizer's turns.

Standard library only. Every function returns new values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from operator import attrgetter

from asr_diarization.transcript import Segment, Span, Turn, Word

MAX_GAP_SECONDS = 2.0
"""A word without overlap goes to the nearest turn, at most this far away (docs/quality.md)."""
MIN_SHARE = 2 / 3
"""A speaker with at least this share of a sentence's words gets all of it (docs/quality.md)."""
MIN_REPLY_PAUSE_SECONDS = 0.3
"""A shorter pause, in which somebody else speaks, is no turn given away."""
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")

UNSPACED_BLOCKS = (
    (0x3000, 0x30FF),  # punctuation, hiragana, katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFF9F),  # full-width punctuation, half-width katakana
    (0x20000, 0x3134F),
)
"""Unicode's blocks of Chinese and Japanese: no spaces, also between sentences."""
SPACELESS_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
)
"""Scripts with spaces between sentences only."""


def overlap(a: Span, b: Span) -> float:
    """Seconds that `a` and `b` share; 0.0 if they are apart or only touch."""
    return max(0.0, min(a.end, b.end) - max(a.start, b.start))


def gap(a: Span, b: Span) -> float:
    """Seconds between `a` and `b`; 0.0 if they touch or overlap."""
    return max(0.0, a.start - b.end, b.start - a.end)


def dominant_speaker(span: Span, turns: Iterable[Turn]) -> str | None:
    """Who talks longest during `span`; on a tie, who started first; None if nobody talks.

    `turns` must be sorted by start.
    """
    seconds: dict[str, float] = {}
    for turn in turns:
        if shared := overlap(span, turn):
            seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + shared
    return max(seconds, key=seconds.__getitem__, default=None)


def nearest_speaker(span: Span, turns: Iterable[Turn], max_gap: float) -> str | None:
    """Who has the nearest turn, at most `max_gap` seconds away; on a tie, the first of `turns`."""
    nearest = min(turns, key=lambda turn: gap(span, turn), default=None)
    return nearest.speaker if nearest is not None and gap(span, nearest) <= max_gap else None


class TurnIndex:
    """Sorted turns, to find the speaker of a span without a search of all turns."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = sorted(turns, key=attrgetter("start", "end"))  # not by name
        self._starts = [turn.start for turn in self._turns]
        self._latest_ends = list(accumulate((turn.end for turn in self._turns), max))

    def around(self, span: Span, margin: float = 0.0) -> Sequence[Turn]:
        """Every turn at most `margin` seconds from `span`, and perhaps others, sorted by start."""
        first = bisect_left(self._latest_ends, span.start - margin)
        last = bisect_left(self._starts, span.end + margin)
        while last < len(self._starts) and self._starts[last] <= span.end + margin:
            last += 1
        return self._turns[first:last]

    def speaker(self, span: Span, max_gap: float) -> str | None:
        """Who talks longest during `span`, else who is nearest, at most `max_gap` seconds away.

        A span of no length has no overlap, so it belongs to the nearest turn: the one around it.
        """
        return dominant_speaker(span, self.around(span)) or nearest_speaker(
            span, self.around(span, max_gap), max_gap
        )


def smooth_sentences(segments: Iterable[Segment], min_share: float) -> tuple[Segment, ...]:
    """Give a sentence to the speaker of at least `min_share` of its words, if there is one.

    A sentence ends at a word with closing punctuation, or with its segment. The words must have
    speakers already, and the segments must not be split yet.
    """
    smoothed: list[Segment] = []
    for segment in segments:
        words: list[Word] = []
        for sentence in _sentences(segment.words):
            words.extend(_smooth(sentence, min_share))
        smoothed.append(replace(segment, words=tuple(words)))
    return tuple(smoothed)


def _smooth(sentence: list[Word], min_share: float) -> list[Word]:
    speaker, count = Counter(word.speaker for word in sentence).most_common(1)[0]
    if speaker is None or count < min_share * len(sentence):
        return sentence
    return [replace(word, speaker=speaker) for word in sentence]


def _sentences(words: Iterable[Word]) -> Iterator[list[Word]]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if word.text.rstrip("\"')]»”").endswith(SENTENCE_ENDS):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def assign_speakers(
    segments: Iterable[Segment],
    turns: Iterable[Turn],
    max_gap: float = MAX_GAP_SECONDS,
    min_share: float = MIN_SHARE,
) -> tuple[Segment, ...]:
    """Give every word its speaker and split segments where the speaker changes.

    A word belongs to the speaker who talks longest during it, else to the nearest turn at most
    `max_gap` seconds away, else to nobody (None). Then a speaker with at least `min_share` of a
    sentence's words gets the whole sentence (a share above 1 changes no word). No word is lost,
    moved or doubled. A segment without words gets one speaker by the same rule.
    """
    index = TurnIndex(turns)
    labelled = []
    for segment in segments:
        words = tuple(replace(w, speaker=index.speaker(w, max_gap)) for w in segment.words)
        speaker = index.speaker(segment, max_gap)
        labelled.append(replace(segment, words=words, speaker=speaker))
    smoothed = smooth_sentences(labelled, min_share)
    return tuple(piece for segment in smoothed for piece in split_by_speaker(segment))


def split_by_speaker(segment: Segment) -> Iterator[Segment]:
    """`segment` cut where its words change speaker; with one speaker, it keeps its own times."""
    runs = [(who, tuple(run)) for who, run in groupby(segment.words, lambda word: word.speaker)]
    if len(runs) <= 1:
        yield replace(segment, speaker=runs[0][0]) if runs else segment
        return
    for speaker, words in runs:
        yield replace(_piece(segment, words), speaker=speaker)


def _piece(segment: Segment, words: tuple[Word, ...]) -> Segment:
    """The part of `segment` with those words, and their times."""
    return replace(
        segment,
        start=words[0].start,
        end=max(word.end for word in words),
        text="".join(word.text for word in words).strip(),
        words=words,
    )


def cut_at_replies(
    segments: Iterable[Segment], min_pause: float = MIN_REPLY_PAUSE_SECONDS
) -> tuple[Segment, ...]:
    """Segments of several channels in the order of their starts, none across a reply.

    A segment is cut between two words at least `min_pause` seconds apart, if the middle of somebody
    else's word lies between them. Every segment has one speaker.
    """
    segments = tuple(segments)
    middles = sorted(
        ((word.start + word.end) / 2, str(segment.speaker))
        for segment in segments
        for word in segment.words
    )
    others = {
        who: [time for time, speaker in middles if speaker != str(who)]
        for who in {segment.speaker for segment in segments}
    }
    pieces = (
        piece
        for segment in segments
        for piece in _cut_at(segment, others[segment.speaker], min_pause)
    )
    return tuple(sorted(pieces, key=attrgetter("start")))


def _cut_at(segment: Segment, others: Sequence[float], min_pause: float) -> Iterator[Segment]:
    """`segment` in pieces; `others` are sorted times at which somebody else speaks."""
    runs: list[list[Word]] = []
    for word in segment.words:
        previous = runs[-1][-1].end if runs else 0.0
        is_reply = word.start - previous >= min_pause and bisect_left(others, previous) < (
            bisect_left(others, word.start)
        )
        if not runs or is_reply:
            runs.append([])
        runs[-1].append(word)
    if len(runs) <= 1:
        yield segment
    else:
        yield from (_piece(segment, tuple(run)) for run in runs)


def group_by_speaker(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Consecutive segments of one speaker joined into one."""
    return tuple(_join(tuple(run)) for _, run in groupby(segments, lambda segment: segment.speaker))


def _join(run: Sequence[Segment]) -> Segment:
    if len(run) == 1:
        return run[0]
    return replace(
        run[0],
        end=max(segment.end for segment in run),
        text=join_texts(segment.text for segment in run),
        words=tuple(word for segment in run for word in segment.words),
    )


def join_texts(texts: Iterable[str]) -> str:
    """Texts joined with single spaces, Chinese and Japanese without; blank ones are left out."""
    joined = ""
    for text in filter(None, map(str.strip, texts)):
        is_unspaced = joined and _is_unspaced(joined[-1]) and _is_unspaced(text[0])
        joined += text if is_unspaced or not joined else f" {text}"
    return joined


def is_spaceless(character: str) -> bool:
    """Whether the script of `character` has no spaces between words, as in Chinese and Thai."""
    return _is_unspaced(character) or _is_in(character, SPACELESS_BLOCKS)


def _is_unspaced(character: str) -> bool:
    return _is_in(character, UNSPACED_BLOCKS)


def _is_in(character: str, blocks: Iterable[tuple[int, int]]) -> bool:
    return any(first <= ord(character) <= last for first, last in blocks)
