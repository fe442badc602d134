"""Which speaker said which word: the words of a transcriber joined with the turns of a diarizer.

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
"""A word that no turn covers goes to the nearest turn at most this far away (docs/quality.md)."""
MIN_SHARE = 2 / 3
"""A sentence of which one speaker says so many words is all theirs (docs/quality.md)."""
SENTENCE_ENDS = (".", "?", "!", "。", "？", "！", "…")


def overlap(a: Span, b: Span) -> float:
    """Seconds `a` and `b` share; 0.0 when they are apart or only touch."""
    return max(0.0, min(a.end, b.end) - max(a.start, b.start))


def gap(a: Span, b: Span) -> float:
    """Seconds of silence between `a` and `b`; 0.0 when they touch or overlap."""
    return max(0.0, a.start - b.end, b.start - a.end)


def dominant_speaker(span: Span, turns: Iterable[Turn]) -> str | None:
    """Who talks longest during `span`; on a tie, whoever started first; None if nobody does.

    `turns` must be sorted by start.
    """
    seconds: dict[str, float] = {}
    for turn in turns:
        if shared := overlap(span, turn):
            seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + shared
    return max(seconds, key=seconds.__getitem__, default=None)


def nearest_speaker(span: Span, turns: Iterable[Turn], max_gap: float) -> str | None:
    """Who has the turn closest to `span`, at most `max_gap` seconds away; on a tie the earlier."""
    near = min(turns, key=lambda turn: gap(span, turn), default=None)
    return near.speaker if near is not None and gap(span, near) <= max_gap else None


class TurnIndex:
    """Turns, sorted, that answer who speaks during a span without looking at all of them."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        self._turns = sorted(turns, key=attrgetter("start", "end"))  # names decide nothing
        self._starts = [turn.start for turn in self._turns]
        self._latest_ends = list(accumulate((turn.end for turn in self._turns), max))

    def around(self, span: Span, margin: float = 0.0) -> Sequence[Turn]:
        """Every turn that comes within `margin` seconds of `span`, and perhaps a few more."""
        first = bisect_left(self._latest_ends, span.start - margin)
        last = bisect_left(self._starts, span.end + margin)
        while last < len(self._starts) and self._starts[last] <= span.end + margin:
            last += 1
        return self._turns[first:last]

    def speaker(self, span: Span, max_gap: float) -> str | None:
        """Who talks longest during `span`, else who is nearest within `max_gap` seconds.

        A span of no length overlaps nothing: it belongs to the turn it lies in (gap 0).
        """
        return dominant_speaker(span, self.around(span)) or nearest_speaker(
            span, self.around(span, max_gap), max_gap
        )


def smooth_sentences(segments: Iterable[Segment], min_share: float) -> tuple[Segment, ...]:
    """Give every sentence to one speaker who says at least `min_share` of its words, if any does.

    A sentence ends at a word with closing punctuation, or with its segment. To be applied to
    segments before they are split, their words having speakers.
    """
    smoothed: list[Segment] = []
    for segment in segments:
        words: list[Word] = []
        for sentence in _sentences(segment.words):
            speaker, most = Counter(word.speaker for word in sentence).most_common(1)[0]
            is_theirs = speaker is not None and most >= min_share * len(sentence)
            words.extend(replace(w, speaker=speaker) if is_theirs else w for w in sentence)
        smoothed.append(replace(segment, words=tuple(words)))
    return tuple(smoothed)


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

    A word belongs to whoever talks longest during it; a word in a gap to the nearest turn within
    `max_gap` seconds, else to nobody (None). Then a sentence of which one speaker has at least
    `min_share` of the words is theirs (more than 1 leaves every word where it is). No word is lost,
    moved or doubled. A segment without words is given one speaker by the same rule.
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
    """`segment` cut where its words change speaker; one speaker's segment keeps its own times."""
    runs = [(who, tuple(run)) for who, run in groupby(segment.words, lambda word: word.speaker)]
    if len(runs) <= 1:
        yield replace(segment, speaker=runs[0][0]) if runs else segment
        return
    for speaker, words in runs:
        yield replace(
            segment,
            start=words[0].start,
            end=max(word.end for word in words),
            text="".join(word.text for word in words).strip(),
            words=words,
            speaker=speaker,
        )


def group_by_speaker(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Consecutive segments of one speaker joined into one: the transcript as a conversation."""
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
    """Pieces of text as one line, with single spaces between them."""
    return " ".join(text for text in (text.strip() for text in texts) if text)
