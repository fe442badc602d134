"""How sure it is who said a segment."""

from __future__ import annotations

import pytest

from asr_diarization.diarization import confidence
from asr_diarization.diarization.confidence import with_confidence
from asr_diarization.transcript import Segment, Turn
from tests.support.fakes import say

SAID = say("a b c d", 0, 4).with_speaker("A")


@pytest.mark.parametrize(
    ("turns", "expected", "overlap"),
    [
        ([(0, 4, "A")], 1.0, False),
        ([(0, 2, "A")], 0.5, False),
        ([(1, 2, "A"), (1.5, 4, "A")], 0.75, False),
        ([(0, 4, "B")], 0.0, False),
        ([(0, 2, "A"), (2, 4, "B")], 0.5, False),
        ([(0, 4, "A"), (3, 9, "B")], 0.75, True),
        ([(0, 4, "A"), (2, 4, "B"), (3, 4, "C")], 0.5, True),
        ([(0, 4, "A"), (3.95, 9, "B")], 0.9875, False),
        ([], 0.0, False),
    ],
)
def test_turns_say_how_sure(turns, expected, overlap):
    (judged,) = with_confidence([SAID], [Turn(*turn) for turn in turns])
    assert judged.confidence == pytest.approx(expected)
    assert judged.overlap == overlap
    assert (judged.words, judged.text) == (SAID.words, SAID.text)


@pytest.mark.parametrize(("start", "overlap"), [(3.875, True), (3.876, False)])
def test_overlap_counts_from_its_least_seconds_on(start, overlap, monkeypatch):
    assert confidence.MIN_OVERLAP_SECONDS == 0.1
    monkeypatch.setattr(confidence, "MIN_OVERLAP_SECONDS", 0.125)  # exact in binary
    (rated,) = with_confidence([SAID], [Turn(0, 4, "A"), Turn(start, 4, "B")])
    assert rated.overlap == overlap


def test_overlap_of_several_words_is_added_up():
    turns = [Turn(0, 4, "A"), *(Turn(word + 0.95, word + 1, "B") for word in range(3))]
    (rated,) = with_confidence([SAID], turns)
    assert rated.overlap
    assert rated.confidence == pytest.approx(1 - 3 * 0.05 / 4)


def test_a_segment_without_words_is_rated_as_a_whole():
    whole = Segment(0, 4, "a b c d", speaker="A")
    (rated,) = with_confidence([whole], [Turn(1, 3, "A")])
    assert (rated.confidence, rated.overlap) == (0.5, False)


def test_speakers_on_channels_take_nothing_from_each_other():
    (judged,) = with_confidence([SAID], [Turn(0, 4, "A"), Turn(0, 4, "B")], separate_channels=True)
    assert (judged.confidence, judged.overlap) == (1.0, True)


def test_nobody_is_as_before_and_no_time_has_no_share():
    nobody = say("a", 0, 1)
    assert with_confidence([nobody], [Turn(0, 1, "A")]) == (nobody,)
    (judged,) = with_confidence([say("a", 1, 1).with_speaker("A")], [Turn(0, 1, "A")])
    assert judged.confidence is None
