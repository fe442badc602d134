"""Word times: a word is in the speech that it reaches, and takes time."""

from __future__ import annotations

import pytest

from asr_diarization.audio.windows import Stretch
from asr_diarization.transcript import Word
from asr_diarization.whisper.word_times import (
    crop_to_speech,
    end_of_last_word,
    limits_of,
    with_time,
)

RUNS = (Stretch(8, 12.1), Stretch(14.5, 19))
DIGITS = tuple(Stretch(2 + i, 2.5 + i) for i in range(7))


@pytest.mark.parametrize(
    ("times", "text", "is_last", "expected"),
    [
        ((9, 9.5), " word", False, (9, 9.5)),
        ((12.5, 14), " word", False, (12.5, 14)),  # without speech nothing changes
        ((12.1, 14.5), " word", False, (12.1, 14.5)),  # runs that touch share nothing
        ((11.964, 14.628), "マ", False, (14.5, 14.628)),  # the first word after a pause
        ((11.5, 14.6), " myself", False, (14.5, 14.6)),
        ((11.5, 14.53), " myself", False, (11.5, 12.1)),  # reaches nothing of the next run
        ((11.5, 14.6), " myself.", True, (11.5, 12.1)),  # the last word before a pause
        ((11.5, 14.8), " myself.", True, (14.5, 14.8)),
        ((11.5, 13), " word", False, (11.5, 12.1)),
        ((13, 20), " characteristics", False, (17.1, 19)),  # its end is known better
    ],
)
def test_a_word_is_in_the_speech_that_it_reaches(times, text, is_last, expected):
    cropped = crop_to_speech(RUNS, *times, limits_of(text, is_last=is_last))
    assert cropped == pytest.approx(expected)
    assert crop_to_speech((), *times, limits_of(text, is_last=is_last)) == times


def test_a_number_dictated_with_pauses_covers_its_time():
    assert crop_to_speech(DIGITS, 1.8, 8.4, limits_of(" 5550142", is_last=True)) == (2, 8.4)
    assert crop_to_speech(DIGITS, 1.8, 8.4, limits_of(" yes", is_last=True)) == (8, 8.4)
    long_pause = (Stretch(1, 2), Stretch(4, 5))
    assert crop_to_speech(long_pause, 0.5, 5, limits_of(" 42", is_last=False)) == (4, 5)


def test_a_gap_inside_a_word_is_no_pause():
    runs = (Stretch(1, 2), Stretch(2.05, 3))
    limits = limits_of(" experts", is_last=False)
    assert crop_to_speech(runs, 1.7, 2.4, limits) == (1.7, 2.4)


def test_the_last_word_of_a_window_does_not_last_through_unheard_speech():
    limits = limits_of(" okay", is_last=True)
    assert end_of_last_word(RUNS, 7, 12, limits) == pytest.approx(8.8)  # the rest is heard again
    assert end_of_last_word(RUNS, 11, 19, limits) == pytest.approx(11.8)
    assert end_of_last_word(RUNS, 9.5, 12, limits) == 12
    assert end_of_last_word(DIGITS, 1.8, 8.4, limits_of(" 5550142", is_last=True)) == 8.4
    assert end_of_last_word((), 1, 30, limits) == 30


def spoken(*words):
    return [Word(text, start, end) for text, start, end in words]


def test_a_segment_whose_words_take_no_time_has_none():
    assert with_time(spoken((" Okay.", 1, 1))) == []
    assert with_time(spoken((" Thank", 1, 1), (" you.", 1, 1))) == []
    assert with_time([]) == []


def test_words_without_time_that_only_repeat_are_left_out():
    words = spoken((" lots", 0, 1), (" of", 1, 2), (" dirt", 2, 3), (" of", 3, 3), (" dirt.", 3, 3))
    assert with_time(words) == words[:3]


def test_other_words_without_time_share_that_of_a_neighbour():
    assert with_time(spoken((" a", 0, 1), (" b", 1, 1), (" c", 1, 2))) == spoken(
        (" a", 0, 1), (" b", 1, 1.5), (" c", 1.5, 2)
    )
    assert with_time(spoken((" a", 0, 1), (" b", 1, 1))) == spoken((" a", 0, 0.5), (" b", 0.5, 1))
    of_three = with_time(spoken((" a", 1, 1), (" b", 1, 1), (" c", 1, 4)))
    assert of_three == spoken((" a", 1, 2), (" b", 2, 3), (" c", 3, 4))
