"""Who spoke when: properties that hold whatever is said, and the choices the docstrings make."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_diarization.merging import (
    MAX_GAP_SECONDS,
    TurnIndex,
    assign_speakers,
    cut_at_replies,
    dominant_speaker,
    gap,
    group_by_speaker,
    join_texts,
    nearest_speaker,
    overlap,
    smooth_sentences,
    split_by_speaker,
)
from asr_diarization.transcript import Segment, Turn, Word

# Sums of 64ths are exact in binary, so that equality means equality.
TICKS = st.integers(0, 40 * 64).map(lambda tick: tick / 64)
SHORT = st.integers(0, 3 * 64).map(lambda tick: tick / 64)
SPEAKERS = ("A", "B", "C")


@st.composite
def turn_lists(draw, max_size=12):
    pairs = draw(st.lists(st.tuples(TICKS, SHORT, st.sampled_from(SPEAKERS)), max_size=max_size))
    return [Turn(start, start + length, who) for start, length, who in pairs]


@st.composite
def segment_lists(draw):
    """Segments of words that do not overlap, some without words."""
    segments, now = [], 0.0
    for _ in range(draw(st.integers(0, 4))):
        words = []
        begin = now
        for _ in range(draw(st.integers(0, 5))):
            start = now + draw(SHORT)
            now = start + draw(SHORT)
            words.append(Word(draw(st.sampled_from([" a", " b", "c", " d."])), start, now))
        now += draw(SHORT)
        start, end = (words[0].start, words[-1].end) if words else (begin, now)
        text = "".join(word.text for word in words).strip() or "no words"
        segments.append(Segment(start, end, text, tuple(words)))
    return segments


def words_of(segments):
    return [word for segment in segments for word in segment.words]


def unnamed(words):
    return [replace(word, speaker=None) for word in words]


def shifted(span, seconds):
    moved = replace(span, start=span.start + seconds, end=span.end + seconds)
    if isinstance(span, Segment):
        return replace(moved, words=tuple(shifted(word, seconds) for word in span.words))
    return moved


def relabelled(span, names):
    moved = replace(span, speaker=names.get(span.speaker))
    if isinstance(span, Segment):
        return replace(moved, words=tuple(relabelled(word, names) for word in span.words))
    return moved


# Properties


@given(segment_lists(), turn_lists())
def test_every_word_comes_out_once_and_in_order(segments, turns):
    assigned = assign_speakers(segments, turns)
    assert unnamed(words_of(assigned)) == words_of(segments)


@given(segment_lists(), turn_lists())
def test_every_segment_has_one_speaker_and_spells_its_words(segments, turns):
    for segment in assign_speakers(segments, turns):
        assert {word.speaker for word in segment.words} <= {segment.speaker}
        if segment.words:
            assert segment.text == "".join(word.text for word in segment.words).strip()


@given(segment_lists(), turn_lists(), TICKS)
def test_shifting_all_times_shifts_the_result(segments, turns, seconds):
    moved = assign_speakers(
        [shifted(segment, seconds) for segment in segments],
        [shifted(turn, seconds) for turn in turns],
    )
    assert moved == tuple(shifted(s, seconds) for s in assign_speakers(segments, turns))


@given(segment_lists(), turn_lists(), st.permutations(SPEAKERS))
def test_renaming_the_speakers_renames_them_in_the_result(segments, turns, names):
    new = dict(zip(SPEAKERS, names, strict=True))
    renamed = assign_speakers(segments, [relabelled(turn, new) for turn in turns])
    assert renamed == tuple(relabelled(s, new) for s in assign_speakers(segments, turns))


@given(segment_lists())
def test_without_turns_nobody_is_named_and_nothing_changes(segments):
    assert assign_speakers(segments, []) == tuple(segments)


@given(segment_lists(), turn_lists())
def test_assigning_twice_changes_nothing(segments, turns):
    once = assign_speakers(segments, turns)
    assert assign_speakers(once, turns) == once


@given(TICKS, SHORT, turn_lists(), st.sampled_from([0.0, 0.5, MAX_GAP_SECONDS]))
def test_the_index_answers_as_looking_at_every_turn_does(start, length, turns, max_gap):
    span = Word(" x", start, start + length)
    in_order = sorted(turns, key=lambda turn: (turn.start, turn.end))
    expected = dominant_speaker(span, in_order) or nearest_speaker(span, in_order, max_gap)
    assert TurnIndex(turns).speaker(span, max_gap) == expected


@given(segment_lists(), turn_lists())
def test_grouping_keeps_the_words_and_leaves_no_neighbours_alike(segments, turns):
    assigned = assign_speakers(segments, turns)
    grouped = group_by_speaker(assigned)
    assert words_of(grouped) == words_of(assigned)
    assert join_texts(s.text for s in grouped) == join_texts(s.text for s in assigned)
    speakers = [segment.speaker for segment in grouped]
    assert all(a != b for a, b in pairwise(speakers))
    assert group_by_speaker(grouped) == grouped


@given(TICKS, SHORT, TICKS, SHORT)
def test_overlap_and_gap_are_symmetric_and_never_both_positive(a, long, b, short):
    one, other = Turn(a, a + long, "A"), Turn(b, b + short, "B")
    assert overlap(one, other) == overlap(other, one) >= 0
    assert gap(one, other) == gap(other, one) >= 0
    assert not (overlap(one, other) and gap(one, other))
    assert overlap(one, one) == one.end - one.start


# Choices


def test_a_word_belongs_to_whoever_talks_longest_during_it():
    turns = [Turn(0, 4, "A"), Turn(1, 2, "B"), Turn(2.5, 3, "B")]
    assert dominant_speaker(Word(" x", 1.0, 2.0), turns) == "A"  # a tie: A started first
    assert dominant_speaker(Word(" x", 0.5, 3.5), turns) == "A"
    assert dominant_speaker(Word(" x", 0, 3), [Turn(0, 1, "A"), *turns[1:]]) == "B"
    assert dominant_speaker(Word(" x", 4, 5), turns) is None


def test_a_word_in_a_gap_goes_to_the_nearest_turn_within_the_distance():
    turns = [Turn(0, 1, "A"), Turn(5, 6, "B")]
    (segment,) = assign_speakers([Segment(2, 2.5, "x", (Word(" x", 2, 2.5),))], turns)
    assert segment.speaker == "A"
    (segment,) = assign_speakers([Segment(3.5, 4, "x", (Word(" x", 3.5, 4),))], turns)
    assert segment.speaker == "B"
    (segment,) = assign_speakers([Segment(2, 2.5, "x", (Word(" x", 2, 2.5),))], turns, max_gap=0.5)
    assert segment.speaker is None
    assert nearest_speaker(Word(" x", 3, 3), turns, MAX_GAP_SECONDS) == "A"  # a tie: the earlier


@pytest.mark.parametrize(("seconds", "speaker"), [(2.0, "A"), (2.0 + 1 / 64, None)])
@pytest.mark.parametrize("is_before", [True, False])
def test_the_longest_gap_still_counts(seconds, speaker, is_before):
    turn = Turn(8, 9, "A")
    start = turn.start - seconds - 1 if is_before else turn.end + seconds
    word = Word(" x", start, start + 1)
    assert MAX_GAP_SECONDS == 2.0
    assert nearest_speaker(word, [turn], MAX_GAP_SECONDS) == speaker
    (segment,) = assign_speakers([Segment(start, start + 1, "x", (word,))], [turn])
    assert segment.speaker == speaker


def test_turns_of_equal_times_stay_in_their_order():
    turns = [Turn(0, 4, "B"), Turn(0, 4, "A"), Turn(0, 3, "C")]
    assert TurnIndex(turns[:2]).speaker(Word(" x", 1, 2), 2.0) == "B"
    assert TurnIndex(turns[:2]).speaker(Word(" x", 5, 6), 2.0) == "B"
    assert TurnIndex(turns).speaker(Word(" x", 1, 2), 2.0) == "C"  # it ends first


def spoken(text, speakers):
    """A segment of a second per word, each by the speaker of that letter (`-` is nobody)."""
    words = tuple(
        Word(f" {word}", i, i + 1, speaker=None if who == "-" else who)
        for i, (word, who) in enumerate(zip(text.split(), speakers, strict=True))
    )
    return Segment(0, len(words), text, words)


@pytest.mark.parametrize(
    ("text", "said_by", "expected"),
    [
        ("I see that.", "ABA", "AAA"),  # exactly two thirds
        ("I see that now.", "ABAB", "ABAB"),
        ("I see that very well.", "ABAAB", "ABAAB"),
        ("I see that very well now.", "ABAABA", "AAAAAA"),  # exactly two thirds
        ("I see. You do not. Well, yes", "AABABAB", "AABBBAB"),
        ("I see? You do! He does", "AABBAB", "AABBAB"),
        ("I said 'no.' So did you", "ABAABB", "AAABBB"),
        ("I see that.", "-B-", "-B-"),  # nobody takes no word
        ("I see that.", "-BB", "BBB"),
    ],
)
def test_a_sentence_goes_to_the_speaker_of_two_thirds_of_it(text, said_by, expected):
    (segment,) = smooth_sentences([spoken(text, said_by)], 2 / 3)
    assert "".join(word.speaker or "-" for word in segment.words) == expected
    assert unnamed(segment.words) == unnamed(spoken(text, said_by).words)


def test_a_sentence_ends_with_its_segment():
    segments = [spoken("I see", "AB"), spoken("that now.", "AA")]
    smoothed = smooth_sentences(segments, 2 / 3)
    assert ["".join(w.speaker for w in segment.words) for segment in smoothed] == ["AB", "AA"]


def test_grouped_segments_end_with_the_last_of_them_to_end():
    said = [Segment(0, 5, "a", speaker="A"), Segment(1, 3, "b", speaker="A")]
    assert group_by_speaker(said) == (Segment(0, 5, "a b", speaker="A"),)


def test_the_default_share_is_two_thirds_and_more_than_1_changes_nothing():
    three_of_five = assign_speakers(
        [spoken("I see that very well.", "-----")], [Turn(0, 3, "A"), Turn(3, 5, "B")]
    )
    assert [s.speaker for s in three_of_five] == ["A", "B"]
    turns = [Turn(0, 2, "A"), Turn(2, 3, "B")]
    words = spoken("I see that.", "---")
    assert [s.speaker for s in assign_speakers([words], turns)] == ["A"]
    assert [s.speaker for s in assign_speakers([words], turns, min_share=0.67)] == ["A", "B"]
    assert [s.speaker for s in assign_speakers([words], turns, min_share=1.01)] == ["A", "B"]


def test_the_end_of_a_cut_segment_is_that_of_its_longest_word():
    words = (
        Word(" a", 0, 3, speaker="A"),
        Word(" b", 1, 2, speaker="A"),
        Word(" c", 3, 4, speaker="B"),
    )
    first, _ = split_by_speaker(Segment(0, 5, "a b c", words))
    assert (first.start, first.end) == (0, 3)


def test_a_word_of_no_length_belongs_to_the_turn_it_lies_in():
    assert TurnIndex([Turn(0, 2, "A"), Turn(3, 5, "B")]).speaker(Word(" x", 4, 4), 2.0) == "B"


def test_a_segment_without_words_gets_one_speaker():
    turns = [Turn(0, 1, "A"), Turn(1, 5, "B")]
    assert assign_speakers([Segment(0, 4, "hello")], turns) == (Segment(0, 4, "hello", (), "B"),)


def test_a_segment_is_cut_where_the_speaker_changes():
    words = (Word(" Hi", 0, 1), Word(" you.", 1, 2), Word(" Oh!", 2, 3))
    turns = [Turn(0, 2, "A"), Turn(2, 3, "B")]
    first, second = assign_speakers([Segment(0, 3.5, "Hi you. Oh!", words)], turns)
    assert (first.text, first.start, first.end, first.speaker) == ("Hi you.", 0, 2, "A")
    assert (second.text, second.start, second.end, second.speaker) == ("Oh!", 2, 3, "B")


def test_a_segment_of_one_speaker_keeps_its_own_times_and_text():
    segment = Segment(0, 5, "Hi", (Word(" Hi", 1, 2, speaker="A"),))
    assert list(split_by_speaker(segment)) == [replace(segment, speaker="A")]


def channel(speaker, *times):
    """A segment of words of half a second."""
    said = tuple(Word(f" {time}", time, time + 0.5) for time in times)
    text = " ".join(str(time) for time in times)
    return Segment(times[0], times[-1] + 0.5, text, said, speaker=speaker)


def test_no_segment_of_a_channel_reaches_across_a_reply():
    asks, replies = channel("A", 1, 2, 8, 9), channel("B", 4, 5, 6)
    first, reply, second = cut_at_replies([asks, replies])
    assert [s.speaker for s in (first, reply, second)] == ["A", "B", "A"]
    assert (first.start, first.end, first.text) == (1, 2.5, "1 2")
    assert (second.start, second.end, second.text) == (8, 9.5, "8 9")
    assert reply == replies
    assert first.words + second.words == asks.words


@pytest.mark.parametrize(
    ("mine", "theirs", "pieces"),
    [
        ((1, 8), (20,), 2),  # a pause without a reply
        ((1, 8), (0.5,), 2),
        ((1, 2, 3), (1.1, 2.1), 2),  # both at once
        ((1, 1.75, 3), (1.4,), 2),  # hardly a pause
        ((1, 2, 3), (1.5,), 3),
    ],
)
def test_only_a_reply_in_a_pause_cuts(mine, theirs, pieces):
    cut = cut_at_replies([channel("A", *mine), channel("B", *theirs)])
    found = len([s for s in cut if s.speaker == "A"]) + 1
    assert found == pieces
    assert [s.start for s in cut] == sorted(s.start for s in cut)


def test_segments_without_words_are_only_sorted():
    late, early = Segment(5, 6, "x", speaker="A"), Segment(1, 2, "y", speaker="B")
    assert cut_at_replies([late, early]) == (early, late)
    assert cut_at_replies([]) == ()


def test_everybody_at_once():
    turns = [Turn(0, 10, who) for who in SPEAKERS]
    (segment,) = assign_speakers([Segment(1, 2, "x", (Word(" x", 1, 2),))], turns)
    assert segment.speaker in SPEAKERS


@pytest.mark.parametrize("kind", [Turn, Word, Segment])
@pytest.mark.parametrize(
    ("start", "end"), [(2.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0, math.nan)]
)
def test_values_refuse_nonsense_at_birth(kind, start, end):
    first, last = (("x",), ()) if kind is Word else ((), ("x",))
    with pytest.raises(ValueError, match="0 <= start <= end"):
        kind(*first, start, end, *last)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("Hello.", " How are", "you? "), "Hello. How are you?"),
        (("", " ", "yes"), "yes"),
        (("電球が止まっていた", "はい。", "そうです"), "電球が止まっていたはい。そうです"),
        (("你好，", "世界"), "你好，世界"),
        (("OKです", "Hello", "はい"), "OKです Hello はい"),
        (("สวัสดี", "ครับ"), "สวัสดี ครับ"),  # Thai has spaces between sentences
        (("안녕", "하세요"), "안녕 하세요"),
    ],
)
def test_texts_are_joined_as_their_script_does(texts, expected):
    assert join_texts(texts) == expected
