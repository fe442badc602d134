"""A turn that clearly sounds like somebody else is theirs; everything else stays."""

from __future__ import annotations

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.diarization.reassignment import meet_number, reassign_turns
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
    waveform = recording((0, 0.5, B), (4, 5.48, A), (5.48, 7, B))
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


@pytest.mark.parametrize(("degrees", "speaker"), [(46.6, "A"), (46.8, "B")])
def test_another_speaker_needs_more_than_the_margin(degrees: float, speaker: str) -> None:
    """Half-way is 45 degrees; at 46.7, less the mean of both, the cosines are 0.1 and -0.1."""
    turns = (Turn(0, 3, "A"),)
    model, _ = fixed((np.cos(np.radians(degrees)), np.sin(np.radians(degrees))))
    found = Diarization(turns, turns, {"A": (3.0, 0.0), "B": B})
    assert speakers(reassign_turns(found, recording(), model)) == [speaker]


def test_what_all_speakers_share_does_not_hide_who_it_is() -> None:
    """Over the telephone, the cosine of two speakers may be 0.9, and differences below 0.1."""
    turns = (Turn(0, 3, "A"),)
    model, _ = fixed((3.0, 1.0))
    found = Diarization(turns, turns, {"A": (3.0, 0.0), "B": (3.0, 1.2)})
    assert speakers(reassign_turns(found, recording(), model)) == ["B"]


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


def test_a_given_number_is_met_by_the_turn_that_is_least_like_its_speaker() -> None:
    turns = (Turn(0, 3, "SPEAKER_00"), Turn(4, 7, "SPEAKER_00"), Turn(8, 11, "SPEAKER_00"))
    found = Diarization(turns, turns, {"SPEAKER_00": A})
    waveform = recording((0, 3, A), (4, 7, B), (8, 11, A))
    met = meet_number(found, waveform, embed, 2)
    assert speakers(met) == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_00"]
    assert met.turns == met.exclusive
    assert met.embeddings == {"SPEAKER_00": A, "SPEAKER_01": B}
    assert meet_number(found, waveform, embed, 1) == found
    assert meet_number(met, waveform, embed, 2) == met


def test_a_given_number_is_met_as_far_as_there_are_turns() -> None:
    turns = (Turn(0, 3, "SPEAKER_00"), Turn(4, 7, "SPEAKER_00"))
    met = meet_number(Diarization(turns, turns), recording(), embed, 9)
    assert sorted(speakers(met)) == ["SPEAKER_00", "SPEAKER_01"]
    assert meet_number(Diarization(), recording(), embed, 9) == Diarization()


def test_a_longer_turn_is_given_away_before_a_shorter_one() -> None:
    turns = (Turn(0, 3, "S"), Turn(4, 4.3, "S"), Turn(8, 11, "S"))
    waveform = recording((0, 3, A), (4, 4.3, B), (8, 11, (0.9, 0.1)))
    met = meet_number(Diarization(turns, turns, {"S": A}), waveform, embed, 2)
    assert speakers(met) == ["S", "S", "SPEAKER_00"]


def test_a_turn_inside_a_regular_one_is_added_to_the_regular_ones() -> None:
    exclusive = (Turn(0, 3, "S"), Turn(4, 7, "S"))
    whole = (Turn(0, 7, "S"),)
    waveform = recording((0, 3, A), (4, 7, B))
    met = meet_number(Diarization(whole, exclusive, {"S": A}), waveform, embed, 2)
    assert met.turns == (Turn(0, 7, "S"), Turn(4, 7, "SPEAKER_00"))
