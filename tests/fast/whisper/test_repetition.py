"""Repetition: what was said once is written once, and what was said twice, twice."""

from __future__ import annotations

from asr_diarization.transcript import Segment, Word
from asr_diarization.whisper.repetition import join_heard_again, without_repetition


def said(text, start, end):
    """A segment whose words are equally long."""
    words = text.split()
    step = (end - start) / len(words)
    return Segment(
        start,
        end,
        text,
        tuple(
            Word(f" {word}", start + i * step, start + (i + 1) * step)
            for i, word in enumerate(words)
        ),
    )


def test_a_number_that_is_heard_again_is_written_once_and_covers_its_time():
    before, number = said("My phone number is", 0.3, 1.7), said("55510142", 2.2, 2.8)
    again = (said("5, 5, 0,", 3.2, 5.6), said("1, 4, 2", 6.2, 8.2))
    joined = join_heard_again((before, number), again)
    assert joined[0] == before
    assert (joined[1].text, joined[1].start, joined[1].end) == ("55510142", 2.2, 8.2)
    assert joined[1].words == (Word(" 55510142", 2.2, 8.2),)
    assert join_heard_again(joined, ()) == joined


def test_other_text_is_added_to_what_was_written():
    written = (said("55510142", 2.2, 2.8),)
    for text in ("Please call me back.", "5", "8 9 9 7 6 3"):
        heard = (said(text, 3.2, 5),)
        assert join_heard_again(written, heard) == written + heard
    assert join_heard_again((), written) == written


def test_who_says_the_same_again_is_heard_again():
    first, second = said("Regular Chromecast design.", 0, 1.8), said("Okay.", 2, 2.5)
    for segment in (first, second):
        later = said(segment.text, 6, 7.8)
        assert join_heard_again((segment,), (later,)) == (segment, later)
        assert without_repetition((segment, later)) == [segment, later]


def test_of_two_equal_neighbours_the_one_without_time_is_left_out():
    said_once, squeezed = said("Regular design.", 1, 2.5), said("Regular design,", 2.5, 2.6)
    other = said("Yes.", 2.6, 2.65)
    assert without_repetition((said_once, squeezed, other)) == [said_once, other]
    before = said("regular design", 0.9, 1)
    assert without_repetition((before, said_once)) == [said_once]
    assert without_repetition((before, squeezed, squeezed)) == [before]
