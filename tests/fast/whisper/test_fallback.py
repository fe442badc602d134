"""Which windows are decoded again, at which temperatures, and which attempt is kept."""

from __future__ import annotations

import zlib

import pytest

from asr_diarization.whisper.decoded import Decoded, repeated_tail
from asr_diarization.whisper.fallback import (
    better,
    compression_ratio,
    is_silence,
    log_probability,
    needs_fallback,
    with_fallback,
    without_loop,
)

PAPER = (0.2, 0.4, 0.6, 0.8, 1.0)


class Letters:
    """A vocabulary whose tokens are characters."""

    def text(self, tokens):
        return "".join(map(chr, tokens))


def said(text, mean=-0.5, *, looped=False):
    return Decoded(tuple(map(ord, text)), (mean,) * len(text), looped)


GOOD, UNSURE = said("four words of text"), said("improbable", -1.5)


class Attempts:
    """Decodes each row at each temperature as written down, and records what was asked."""

    def __init__(self, by_row):
        self._by_row, self.asked = by_row, []

    def __call__(self, rows, temperature):
        self.asked.append((tuple(rows), temperature))
        return [self._by_row[row][PAPER.index(temperature)] for row in rows]


def run(greedy, attempts, silent=None):
    return with_fallback(greedy, silent or [False] * len(greedy), Letters(), attempts)


def text_of_ratio(ratio):
    """A text that compresses exactly so well, and better with one more of its last letter."""
    for letters in range(10, 60):
        text = "".join(chr(65 + n) for n in range(letters))
        for _ in range(300):
            text += "z"
            size = len(zlib.compress(text.encode()))
            if len(text) / size == ratio and len(zlib.compress(f"{text}z".encode())) == size:
                return text
    raise AssertionError(f"no text of ratio {ratio}")


class TestLoop:
    def test_a_failed_row_is_tried_at_every_temperature_of_the_paper(self):
        attempts = Attempts({0: [UNSURE] * 5})
        assert run([UNSURE], attempts) == [UNSURE]
        assert attempts.asked == [((0,), temperature) for temperature in PAPER]

    def test_the_first_attempt_that_passes_is_taken_and_the_last(self):
        passing = said("passes, less probable than others", -0.99)
        attempts = Attempts({0: [said("no", -1.2), passing, GOOD, GOOD, GOOD]})
        assert run([said("loops", -0.1, looped=True)], attempts) == [passing]
        assert [temperature for _, temperature in attempts.asked] == [0.2, 0.4]

    def test_only_failed_rows_are_decoded_again(self):
        late = said("late", -0.2)
        attempts = Attempts({1: [UNSURE, UNSURE, late], 3: [GOOD]})
        assert run([GOOD, UNSURE, GOOD, UNSURE], attempts) == [GOOD, late, GOOD, GOOD]
        assert attempts.asked == [((1, 3), 0.2), ((1,), 0.4), ((1,), 0.6)]

    def test_nothing_is_decoded_again_where_all_rows_pass(self):
        attempts = Attempts({})
        assert run([GOOD, GOOD], attempts) == [GOOD, GOOD]
        assert attempts.asked == []

    def test_silence_is_not_decoded_again(self):
        attempts = Attempts({1: [GOOD]})
        assert run([UNSURE, UNSURE], attempts, silent=[True, False]) == [UNSURE, GOOD]
        assert attempts.asked == [((1,), 0.2)]

    def test_of_attempts_that_all_fail_the_best_is_kept(self):
        best = said("least improbable", -1.1)
        attempts = Attempts(
            {0: [said("a", -1.4), best, said("b", -1.3), said("loop", -0.1, looped=True), UNSURE]}
        )
        assert run([UNSURE], attempts) == [best]

    def test_an_attempt_that_passes_wins_over_a_more_probable_one_that_fails(self):
        repeating = said("ha " * 40, -0.1)
        passing = said("no repetition here at all", -0.9)
        assert run([repeating], Attempts({0: [passing]})) == [passing]


class TestThresholds:
    """Values at a threshold pass; the next value beyond it does not."""

    @pytest.mark.parametrize(("mean", "fails"), [(-1.0, False), (-1.0 - 1e-9, True)])
    def test_log_probability(self, mean, fails):
        assert needs_fallback(said("x", mean), Letters()) is fails

    def test_the_mean_counts_not_the_sum_and_the_end_counts_too(self):
        tokens = tuple(map(ord, "abc"))
        assert not needs_fallback(Decoded(tokens, (-1.0, -1.0, -0.5, -1.5)), Letters())
        assert needs_fallback(Decoded(tokens, (-1.0, -1.0, -0.5, -1.75)), Letters())

    def test_no_tokens_are_no_failure(self):
        assert Decoded((), ()).mean_log_probability == 0.0
        assert not needs_fallback(Decoded((), ()), Letters())

    def test_a_loop_fails_however_probable(self):
        assert needs_fallback(said("x", 0.0, looped=True), Letters())

    def test_compression_ratio(self):
        text = text_of_ratio(2.4)
        assert compression_ratio(text) == 2.4
        assert not needs_fallback(said(text), Letters())
        longer = text + text[-1]
        assert 2.4 < compression_ratio(longer) < 2.5
        assert needs_fallback(said(longer), Letters())

    def test_the_ratio_is_of_bytes_and_0_without_text(self):
        assert compression_ratio("") == 0.0
        assert compression_ratio("ä" * 50) == 100 / len(zlib.compress(("ä" * 50).encode()))

    @pytest.mark.parametrize(
        ("no_speech", "mean", "silent"),
        [
            (0.6, -1.1, False),
            (0.6 + 1e-9, -1.1, True),
            (0.9, -1.0, False),
            (0.9, -1.0 - 1e-9, True),
            (0.9, -0.2, False),
            (0.1, -3.0, False),
        ],
    )
    def test_silence_needs_both(self, no_speech, mean, silent):
        assert is_silence(said("x", mean), no_speech) is silent


class TestBetter:
    def test_the_more_probable_one(self):
        low, high = said("low", -1.3), said("high", -1.2)
        assert better(low, high) is high
        assert better(high, low) is high

    def test_one_that_does_not_loop_comes_first(self):
        loop, other = said("loop", -0.1, looped=True), said("other", -2.0)
        assert better(loop, other) is other
        assert better(other, loop) is other

    @pytest.mark.parametrize("looped", [False, True])
    def test_of_two_loops_too_the_more_probable_one(self, looped):
        low, high = said("low", -1.3, looped=looped), said("high", -1.2, looped=looped)
        assert better(low, high) is high
        assert better(high, low) is high

    @pytest.mark.parametrize("looped", [False, True])
    def test_the_first_on_a_tie(self, looped):
        first, second = said("one", -1.5, looped=looped), said("two", -1.5, looped=looped)
        assert better(first, second) is first
        assert better(second, first) is second


class TestRepetition:
    def test_a_loop_is_kept_once(self):
        start, phrase = [5, 6], [1, 2, 3]
        tokens = (*start, *(10 * phrase))
        log_probabilities = tuple(-0.01 * place for place in range(len(tokens)))
        cut = without_loop(Decoded(tokens, log_probabilities, looped=True))
        assert cut.tokens == (*start, *phrase)
        assert cut.log_probabilities == log_probabilities[:5]
        assert cut.looped

    def test_what_does_not_repeat_itself_is_left_alone(self):
        decoded = Decoded(tuple(range(100)), (-0.1,) * 101)
        assert without_loop(decoded) is decoded

    @pytest.mark.parametrize(
        ("tokens", "extra"),
        [
            ([], 0),
            (list(range(100)), 0),
            (3 * [1, 2, 3], 0),
            (23 * [7], 0),
            (24 * [7], 23),
            (30 * [7], 29),
            ([5, 6, *(10 * [1, 2, 3])], 27),
            ([5, *(3 * list(range(10, 34)))], 0),
            ([5, *(4 * list(range(10, 34)))], 72),
            ([5, *(4 * list(range(10, 35)))], 0),
            ([*(30 * [7]), 8], 0),
        ],
    )
    def test_loops_are_noticed(self, tokens, extra):
        assert repeated_tail(tokens) == extra


def test_text_that_repeats_itself_is_improbable_however_sure_the_model_is():
    assert log_probability(GOOD, Letters()) == pytest.approx(-0.5)
    assert log_probability(said("one " * 60, -0.1), Letters()) == -2.0
    assert log_probability(said("one", -0.1, looped=True), Letters()) == -2.0
    assert log_probability(said("one " * 60, -3.0), Letters()) == pytest.approx(-3.0)
