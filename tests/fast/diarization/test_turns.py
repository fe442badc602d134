"""Turns lie inside the recording, and none lasts a frame."""

from __future__ import annotations

import pytest

from asr_diarization.diarization.turns import MIN_SECONDS, tidy
from asr_diarization.transcript import Diarization, Turn


def tidied(*turns: Turn, duration: float = 100.0) -> tuple[Turn, ...]:
    found = tidy(Diarization(turns, turns), duration)
    assert found.turns == found.exclusive
    return found.turns


def test_no_turn_ends_after_the_recording() -> None:
    turns = (Turn(0.03, 2.107, "A"), Turn(2.0, 2.5, "B"))
    assert tidied(*turns, duration=2.0) == (Turn(0.03, 2.0, "A"),)


def test_turns_of_a_frame_are_left_out_and_what_they_cut_is_joined() -> None:
    turns = (Turn(0, 5, "A"), Turn(5, 5.017, "B"), Turn(5.017, 8, "A"), Turn(9, 12, "B"))
    assert tidied(*turns) == (Turn(0, 8, "A"), Turn(9, 12, "B"))


@pytest.mark.parametrize(("length", "number"), [(MIN_SECONDS - 0.01, 1), (MIN_SECONDS + 0.01, 2)])
def test_the_shortest_turn(length: float, number: int) -> None:
    assert len(tidied(Turn(0, 5, "A"), Turn(6, 6 + length, "B"))) == number


@pytest.mark.parametrize(("pause", "number"), [(MIN_SECONDS - 0.01, 1), (MIN_SECONDS + 0.01, 2)])
def test_the_shortest_pause(pause: float, number: int) -> None:
    assert len(tidied(Turn(0, 5, "A"), Turn(5 + pause, 9, "A"))) == number


def test_who_says_nothing_longer_is_still_there() -> None:
    assert tidied(Turn(1, 1.05, "A")) == (Turn(1, 1.05, "A"),)
    assert tidied() == ()


def test_turns_that_overlap_stay() -> None:
    turns = (Turn(0, 5, "A"), Turn(4, 7, "B"), Turn(6, 9, "A"))
    assert tidied(*turns) == turns


def test_who_has_no_turn_left_has_no_embedding() -> None:
    turns = (Turn(0, 5, "A"), Turn(5, 5.017, "B"))
    found = tidy(Diarization(turns, turns, {"A": (1.0,), "B": (0.0,)}, 0.5), 9.0)
    assert found == Diarization(turns[:1], turns[:1], {"A": (1.0,)}, 0.5)
