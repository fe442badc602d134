"""What either of two hears is transcribed; words that only one of them heard must be probable."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.audio.evidence import add_turns, believed, missed_turns, missed_windows
from asr_diarization.audio.windows import STEP_SECONDS, Stretch, WindowRules
from asr_diarization.transcript import Segment, Turn, Word

RULES = WindowRules()


def heard(seconds, *spans):
    """Probabilities of a detector that hears speech in `spans`."""
    middles = (np.arange(round(seconds / STEP_SECONDS)) + 0.5) * STEP_SECONDS
    spoken = np.zeros(len(middles), dtype=np.float32)
    for start, end in spans:
        spoken[(start <= middles) & (middles < end)] = 0.9
    return spoken


def times(stretches):
    return [pytest.approx((s.start, s.end), abs=0.04) for s in stretches]


@pytest.mark.parametrize(
    ("turns", "missed"),
    [
        ([(2, 9)], [(2, 4.7), (7.3, 9)]),
        ([(4.5, 7.5)], []),  # its borders are inexact
        ([(5.2, 6)], []),
        ([(1, 2), (1.5, 3)], [(1, 3)]),
        ([(9, 12)], [(9, 9.984)]),
        ([(8, 8.2)], []),
        ([], []),
    ],
)
def test_turns_outside_of_detected_speech_are_missed(turns, missed):
    found = missed_turns(heard(10, (5, 7)), [Turn(*turn, "A") for turn in turns], RULES)
    assert [(s.start, s.end) for s in found] == times(Stretch(*one) for one in missed)


def test_missed_turns_count_as_just_speech_and_nothing_else_changes():
    before = heard(10, (5, 7))
    after = add_turns(before, [Turn(2, 9, "A")], RULES)
    changed = np.flatnonzero(before != after) * STEP_SECONDS
    assert set(after[before != after]) == {np.float32(RULES.onset)}
    assert changed[0] == pytest.approx(2, abs=0.04)
    assert not ((changed > 4.8) & (changed < 7.2)).any()


def test_windows_of_missed_turns_do_not_reach_into_what_was_heard():
    waveform = np.zeros(160000, np.float32)
    windows = missed_windows(waveform, heard(10, (5, 7)), [Turn(2, 9, "A")], 30.0, RULES)
    (window,) = windows
    assert window.start == pytest.approx(2, abs=0.04)
    speech = [(run.start, run.end) for run in window.speech]
    assert speech == times([Stretch(2, 4.7), Stretch(7.3, 9)])


def said(start, end, *probabilities):
    words = tuple(Word(" a", start, end, probability) for probability in probabilities)
    return Segment(start, end, "a " * len(words), words)


SPEECH, TURNS = [Stretch(0, 4)], [Turn(2, 6, "A")]


@pytest.mark.parametrize(
    ("segment", "turns", "kept"),
    [
        (said(2, 4, 0.11), TURNS, True),  # both hear it
        (said(2, 4, 0.09), TURNS, False),
        (said(0, 2, 0.44), TURNS, False),  # only the detector
        (said(0, 2, 0.46), TURNS, True),
        (said(4, 6, 0.44), TURNS, False),  # only the diarization
        (said(4, 6, 0.9, 0.3), TURNS, True),
        (said(1, 3, 0.11), TURNS, True),  # half of it is enough
        (said(1, 2.9, 0.11), TURNS, False),
        (said(3, 3, 0.11), TURNS, True),  # without length
        (said(7, 7, 0.1), TURNS, False),
        (said(0, 2, 0.1), [], False),
        (said(0, 2, 0.26), None, True),  # nothing was diarized
        (said(0, 2, 0.24), None, False),
        (said(0, 2, None), None, True),
        (Segment(0, 2, "no words"), [], True),
    ],
)
def test_what_one_heard_is_kept_if_its_words_are_probable(segment, turns, kept):
    assert believed([segment], SPEECH, turns) == ((segment,) if kept else ())


@pytest.mark.parametrize(
    ("count", "turns", "kept"), [(3, None, 3), (4, None, 0), (4, [], 0), (4, [Turn(0, 4, "A")], 4)]
)
def test_the_same_again_and_again_is_no_speech_unless_both_hear_it(count, turns, kept):
    loop = [said(i * 0.5, i * 0.5 + 0.3, 0.9) for i in range(count)]
    assert len(believed(loop, SPEECH, turns)) == kept
