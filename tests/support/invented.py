"""Transcripts that Hypothesis invents, as pipelines give them: in order, words by one speaker."""

from __future__ import annotations

from hypothesis import strategies as st

from asr_diarization.transcript import Segment, Transcript, Turn, Word

SAMPLE_RATE = 16000
ANY_LETTERS = st.characters(codec="utf-8")
PEOPLE = (("SPEAKER_00", "SPEAKER_01", None), ("Ann <A> & Co", None))


@st.composite
def transcripts(draw, letters=ANY_LETTERS, *, overlapping=False):
    """Times lie between milliseconds; words have a space before them or, as in Chinese, none."""
    space, people = draw(st.sampled_from([" ", ""])), draw(st.sampled_from(PEOPLE))
    has_words = draw(st.booleans())
    now, segments = draw(st.integers(0, SAMPLE_RATE * 4000)), []
    for _ in range(draw(st.integers(0, 6))):
        if overlapping:
            now = draw(st.integers(0, now))
        words = draw(_words(letters, space, now, draw(st.sampled_from(people))))
        now = round(words[-1].end * SAMPLE_RATE)
        segments.append(draw(_segments(words, has_words=has_words)))
    segments.sort(key=lambda segment: segment.start)
    turns = tuple(Turn(s.start, s.end, s.speaker) for s in segments if s.speaker)
    stats = {"speech_seconds": 2.0, "windows": 3, "seconds": {"decode": 1e-05, "all": 12.5}}
    return Transcript(
        "en",
        max([now / SAMPLE_RATE, *(segment.end for segment in segments)]),
        tuple(segments),
        turns,
        draw(st.sampled_from([(), ("careful",)])),
        draw(st.sampled_from([{}, stats])),
        {turn.speaker: draw(st.integers(-1000, 1000)) / 1000 for turn in turns},
        {turn.speaker: (1.0, draw(st.floats(-1, 1).map(abs))) for turn in turns},
    )


@st.composite
def _words(draw, letters, space, now, speaker):
    """Subtitles are cut by letters when people talk fast, by seconds when they do not."""
    short = st.text(letters, min_size=1, max_size=5).filter(str.strip)
    long = st.text(letters, min_size=20, max_size=30).filter(str.strip)
    quick, slow = st.integers(0, 4000), st.integers(0, 8 * SAMPLE_RATE)
    texts, samples = draw(st.sampled_from([(short, slow), (long, quick), (short, quick)]))
    words = []
    for _ in range(draw(st.integers(1, 20))):
        start = now + draw(samples)
        now = start + draw(samples)
        times = start / SAMPLE_RATE, now / SAMPLE_RATE
        probability = draw(st.none() | st.floats(0, 1))
        words.append(Word(space + draw(texts), *times, probability, speaker))
    return words


@st.composite
def _segments(draw, words, *, has_words):
    text = "".join(word.text for word in words).strip()
    return Segment(
        words[0].start,
        words[-1].end,
        text,
        tuple(words) if has_words else (),
        words[0].speaker,
        "en",
        draw(st.booleans()),
        draw(st.none() | st.floats(0, 1)),
    )
