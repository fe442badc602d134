"""A turn that clearly sounds like somebody else is theirs; everything else stays."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.diarization.reassignment import reassign_turns
from asr_diarization.transcript import Diarization, Turn

A, B = (1.0, 0.0), (0.0, 1.0)


def recording(*voices: tuple[float, float, tuple[float, float]]) -> np.ndarray:
    """Samples that spell whose voice they are: the first number of its vector."""
    waveform = np.zeros(20 * SAMPLE_RATE, np.float32)
    for start, end, vector in voices:
        waveform[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = vector[0]
    return waveform


def embed(waveform: np.ndarray) -> np.ndarray:
    share = float(waveform.mean())
    return np.array([share, 1 - share], np.float32)


def speakers(diarization: Diarization) -> list[str]:
    return [turn.speaker for turn in diarization.exclusive]


def test_a_turn_goes_to_the_voice_it_has() -> None:
    turns = (Turn(0, 3, "A"), Turn(4, 7, "A"), Turn(8, 11, "B"))
    found = Diarization(turns, turns, {"A": A, "B": B})
    waveform = recording((0, 3, A), (4, 7, B), (8, 11, B))
    again = reassign_turns(found, waveform, embed)
    assert speakers(again) == ["A", "B", "B"]
    assert again.turns == again.exclusive
    assert reassign_turns(again, waveform, embed) == again


def test_what_is_short_or_undecided_stays() -> None:
    turns = (Turn(0, 0.5, "A"), Turn(4, 7, "A"))
    found = Diarization(turns, turns, {"A": A, "B": B})
    waveform = recording((0, 0.5, B), (4, 5.4, A), (5.4, 7, B))
    assert reassign_turns(found, waveform, embed) == found


def test_one_speaker_needs_no_comparison() -> None:
    turns = (Turn(0, 3, "A"),)
    found = Diarization(turns, turns, {"A": A})

    def never(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert reassign_turns(found, recording(), never) == found


def test_it_can_be_stopped_before_each_turn() -> None:
    turns = (Turn(0, 3, "A"), Turn(4, 7, "B"), Turn(8, 11, "B"))
    found = Diarization(turns, turns, {"A": A, "B": B})
    looked: list[float] = []

    def note(waveform: np.ndarray) -> np.ndarray:
        looked.append(float(waveform.mean()))
        return embed(waveform)

    def stop_at_the_third() -> None:
        if len(looked) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        reassign_turns(found, recording((0, 3, A)), note, stop_at_the_third)
    assert looked == [1.0, 0.0]


def fixed(vector: tuple[float, float]):
    """An embedding model that hears the same voice everywhere, and notes what it was given."""
    lengths: list[int] = []

    def model(waveform: np.ndarray) -> np.ndarray:
        lengths.append(len(waveform))
        return np.array(vector, np.float32)

    return model, lengths


@pytest.mark.parametrize(("end", "speaker"), [(0.59375, "A"), (0.6, "B")])
def test_the_shortest_turn_is_compared(end: float, speaker: str) -> None:
    turns = (Turn(0, end, "A"),)
    model, lengths = fixed(B)
    moved = reassign_turns(Diarization(turns, turns, {"A": A, "B": B}), recording(), model)
    assert speakers(moved) == [speaker]
    assert len(lengths) == (speaker == "B")


def test_of_a_long_turn_the_first_ten_seconds_are_embedded() -> None:
    turns = (Turn(1, 19, "A"),)
    model, lengths = fixed(A)
    reassign_turns(Diarization(turns, turns, {"A": A, "B": B}), recording(), model)
    assert lengths == [10 * SAMPLE_RATE]


@pytest.mark.parametrize(("other", "speaker"), [((4.0, 3.0), "A"), ((4.01, 3.0), "B")])
def test_another_speaker_needs_more_than_the_margin(
    other: tuple[float, float], speaker: str
) -> None:
    turns = (Turn(0, 3, "A"),)
    model, _ = fixed((1.0, 0.0))
    found = Diarization(turns, turns, {"A": (3.0, 4.0), "B": other})  # 0.6 against 0.8
    assert speakers(reassign_turns(found, recording(), model)) == [speaker]


def test_a_speaker_without_an_embedding_is_like_nobody() -> None:
    turns = (Turn(0, 3, "C"),)
    model, _ = fixed((-1.0, 0.1))
    found = Diarization(turns, turns, {"A": A, "B": B})
    assert speakers(reassign_turns(found, recording(), model)) == ["B"]


def test_a_regular_turn_follows_the_exclusive_one_with_its_times() -> None:
    exclusive = (Turn(0, 3, "A"),)
    regular = (Turn(0, 3, "A"), Turn(0, 4, "A"))
    model, _ = fixed(B)
    moved = reassign_turns(Diarization(regular, exclusive, {"A": A, "B": B}), recording(), model)
    assert moved.turns == (Turn(0, 3, "B"), Turn(0, 4, "A"))
