"""Speech windows: nothing spoken is lost or heard twice, and cuts lie in silence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.audio.windows import (
    STEP_SECONDS,
    Stretch,
    Window,
    WindowRules,
    _overlapping,
    cut_windows,
    find_speech,
)

STEP_SAMPLES = round(STEP_SECONDS * SAMPLE_RATE)
RULES = WindowRules()
LIMITS = st.sampled_from([1.0, 2.5, 10.0, 30.0])

# Speech and silence of some seconds each; the probability says how sure the detector is.
blocks = st.lists(
    st.tuples(st.integers(1, 800), st.sampled_from([0.0, 0.0, 0.2, 0.4, 0.6, 1.0])), max_size=12
)


def recording(blocks):
    """Probabilities, and a waveform that has a different value at every sample."""
    probabilities = np.array([p for steps, p in blocks for _ in range(steps)], dtype=np.float32)
    samples = np.arange(len(probabilities) * STEP_SAMPLES, dtype=np.float32)
    return probabilities, samples


def cut(blocks, limit=30.0):
    probabilities, waveform = recording(blocks)
    speech = find_speech(probabilities, len(waveform) / SAMPLE_RATE, RULES)
    return waveform, speech, cut_windows(waveform, speech, probabilities, limit, RULES)


@given(blocks)
def test_speech_is_sorted_apart_and_inside_the_recording(blocks):
    waveform, speech, _ = cut(blocks)
    assert all(0 <= s.start < s.end <= len(waveform) / SAMPLE_RATE for s in speech)
    assert all(a.end < b.start for a, b in pairwise(speech))


@given(blocks)
def test_whatever_is_surely_speech_is_found(blocks):
    probabilities, _ = recording(blocks)
    _, speech, _ = cut(blocks)
    for first, last in runs(probabilities >= RULES.onset):
        if (last - first) * STEP_SECONDS >= RULES.min_speech_seconds:
            start, end = first * STEP_SECONDS, last * STEP_SECONDS
            assert any(s.start <= start and end <= s.end + 1e-9 for s in speech)


@given(blocks, LIMITS)
def test_no_window_is_longer_than_allowed(blocks, limit):
    _, _, windows = cut(blocks, limit)
    assert all(window.duration <= limit + 1e-6 for window in windows)
    assert all(len(window.samples()) <= (limit + 1e-3) * SAMPLE_RATE for window in windows)


@given(blocks, LIMITS)
def test_all_speech_is_in_exactly_one_window(blocks, limit):
    _, speech, windows = cut(blocks, limit)
    heard = [stretch for window in windows for stretch in window.stretches]
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(heard))
    for stretch in speech:
        inside = sum(max(0.0, min(stretch.end, h.end) - max(stretch.start, h.start)) for h in heard)
        assert inside == pytest.approx(stretch.duration, abs=1e-6)


@given(blocks)
def test_windows_are_cut_in_silence_when_speech_allows_it(blocks):
    _, speech, windows = cut(blocks)
    long = [stretch for stretch in speech if stretch.duration > 30]
    for window in windows:
        for edge in (window.start, window.end):
            cut_through = [s for s in speech if s.start + 1e-9 < edge < s.end - 1e-9]
            assert all(stretch in long for stretch in cut_through)


@given(blocks, LIMITS)
def test_times_of_a_window_lead_back_to_the_sample_that_was_heard(blocks, limit):
    waveform, _, windows = cut(blocks, limit)
    for window in windows:
        samples = window.samples()
        for place in range(0, len(samples), max(1, len(samples) // 50)):
            seconds = (place + 0.5) / SAMPLE_RATE
            at = window.to_recording(seconds) * SAMPLE_RATE
            # Stretches begin and end between samples: each may shift the rest by one of them.
            assert abs(at - samples[place]) <= 1 + 2 * len(window.stretches)
        times = [window.to_recording(t) for t in np.linspace(-1, window.duration + 1, 40)]
        assert times == sorted(times)
        assert (times[0], times[-1]) == (window.start, window.end)
        assert window.end <= len(waveform) / SAMPLE_RATE


def runs(flags):
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(int), [0]))))
    return list(zip(edges[::2], edges[1::2], strict=True))


def steps(seconds):
    return round(seconds / STEP_SECONDS)


def test_no_speech_is_no_window():
    assert cut([])[2] == cut([(500, 0.0)])[2] == cut([(2, 1.0), (500, 0.0)])[2] == ()


def test_speech_everywhere_is_cut_where_it_is_least_likely():
    talk = [(steps(22), 1.0), (1, 0.6), (steps(18), 1.0)]
    _, _, (first, second) = cut(talk)
    assert first.end == second.start == pytest.approx(22, abs=0.1)


def test_a_minute_of_speech_becomes_equal_windows():
    phrases = 10 * [(steps(5), 1.0), (steps(0.8), 0.0)]
    _, _, windows = cut(phrases)
    assert len(windows) == 2
    assert abs(windows[0].duration - windows[1].duration) < 6


def test_of_a_long_pause_only_a_little_is_heard():
    _, speech, (window,) = cut([(steps(3), 1.0), (steps(200), 0.0), (steps(3), 1.0)])
    assert len(speech) == len(window.stretches) == 2
    spoken = sum(stretch.duration for stretch in speech)
    assert window.duration == pytest.approx(spoken + RULES.max_pause_seconds)
    assert window.to_recording(window.duration - 1) > 200


def test_short_windows_when_the_caller_wants_them():
    _, _, windows = cut([(steps(100), 1.0)], limit=1.0)
    assert len(windows) >= 100


def test_samples_are_those_of_the_stretches():
    waveform = np.arange(SAMPLE_RATE * 4, dtype=np.float32)
    window = Window(waveform, (Stretch(0.5, 1.0), Stretch(2.0, 2.25)))
    expected = np.concatenate((waveform[8000:16000], waveform[32000:36000]))
    assert np.array_equal(window.samples(), expected)
    assert (window.start, window.end, window.duration) == (0.5, 2.25, 0.75)
    assert window.to_recording(0.25) == 0.75
    assert window.to_recording(0.6) == pytest.approx(2.1)


# Boundaries


def found(*probabilities, **changes):
    """Speech in those steps, as (first step, step after the last), without padding."""
    rules = replace(RULES, min_speech_seconds=0.0, padding_seconds=0.0, offset=0.25)
    rules = replace(rules, **changes)
    stretches = find_speech(np.array(probabilities, dtype=np.float32), 100.0, rules)
    return [(steps(stretch.start), steps(stretch.end)) for stretch in stretches]


def test_speech_starts_at_the_onset_and_ends_below_the_offset():
    assert found(0, 0.5, 0.25, 0.25, 0) == [(1, 4)]
    assert found(0, 0.499, 0.499, 0) == []
    assert found(1, 0.249, 1) == [(0, 1), (2, 3)]
    assert found(1, 0.3, 0.249, 0.3, 0) == [(0, 2)]  # between both, nothing starts
    assert found(0, 1) == [(1, 2)]  # speech to the end


@pytest.mark.parametrize(("shortest", "expected"), [(4, [(1, 5)]), (4.01, [])])
def test_the_shortest_speech_is_no_click(shortest, expected):
    assert found(0, 1, 1, 1, 1, 0, min_speech_seconds=shortest * STEP_SECONDS) == expected


def test_padding_joins_speech_that_it_makes_touch_and_stays_inside():
    two = [1] * 2 + [0] * 10 + [1] * 2
    assert found(*two, padding_seconds=0.159) == [(0, 7), (7, 19)]
    assert found(*two, padding_seconds=0.16) == [(0, 19)]  # half of the pause: they touch
    rules = replace(RULES, min_speech_seconds=0.0, padding_seconds=1.0)
    (stretch,) = find_speech(np.ones(5, dtype=np.float32), 0.15, rules)
    assert (stretch.start, stretch.end) == (0.0, 0.15)


@pytest.mark.parametrize(("probability", "end"), [(0.36, 0.94), (0.34, 0.62)])
def test_the_rules_are_those_that_were_measured(probability, end):
    probabilities = np.array([1] * 10 + [probability] * 10 + [0] * 40, dtype=np.float32)
    (stretch,) = find_speech(probabilities, 100.0, RULES)
    assert (stretch.start, stretch.end) == (0, pytest.approx(end))


def windows_of(*stretches, limit=30.0, **changes):
    """The stretches of each window of that speech."""
    speech = [Stretch(*stretch) for stretch in stretches]
    waveform = np.zeros(100 * SAMPLE_RATE, dtype=np.float32)
    probabilities = np.zeros(3125, dtype=np.float32)
    windows = cut_windows(waveform, speech, probabilities, limit, replace(RULES, **changes))
    return [[(s.start, s.end) for s in window.stretches] for window in windows]


def test_a_pause_is_kept_whole_up_to_its_longest():
    assert RULES.max_pause_seconds == 1.0
    assert windows_of((0, 2), (3, 4)) == [[(0, 4)]]
    assert windows_of((0, 2), (3.5, 4)) == [[(0, 2.5), (3, 4)]]
    assert windows_of((0, 2), (2.25, 4), (9, 10)) == [[(0, 4.5), (8.5, 10)]]


def test_the_longest_window_has_exactly_the_length_allowed():
    assert windows_of((0, 1), (2, 3), limit=3.0) == [[(0, 3)]]
    assert windows_of((0, 1), (2, 3), limit=2.9) == [[(0, 1)], [(2, 3)]]
    assert windows_of((0, 1), (9, 10), limit=3.0) == [[(0, 1.5), (8.5, 10)]]  # 1 s of the pause
    assert windows_of((0, 3), limit=3.0) == [[(0, 3)]]
    (first, second) = windows_of((0, 3.25), limit=3.0)
    assert first[0][1] == second[0][0] < 3.0


def test_fewest_windows_then_the_most_equal_ones():
    phrases = [(0, 1), (1.5, 2.5), (3, 4), (4.5, 5.5)]
    assert windows_of(*phrases, limit=4.0) == [[(0, 2.5)], [(3, 5.5)]]  # not three and one
    assert windows_of(*phrases, limit=5.5) == [[(0, 5.5)]]


WINDOW = Window(
    np.zeros(10 * SAMPLE_RATE, dtype=np.float32),
    (Stretch(1, 3), Stretch(5, 8)),
    (Stretch(1.25, 2), Stretch(2.5, 3), Stretch(5.5, 7.5)),
)


def test_the_rest_of_a_window_is_what_comes_after():
    assert WINDOW.rest(8) is None
    assert WINDOW.rest(9) is None
    assert WINDOW.rest(7.5).stretches == (Stretch(7.5, 8),)
    assert WINDOW.rest(2).stretches == (Stretch(2, 3), Stretch(5, 8))
    assert WINDOW.rest(3).stretches == (Stretch(5, 8),)


def test_a_cropped_window_has_no_empty_stretch():
    assert WINDOW.crop(0, 5).stretches == (Stretch(1, 3),)
    assert WINDOW.crop(3, 6).stretches == (Stretch(5, 6),)
    assert WINDOW.crop(2, 6).stretches == (Stretch(2, 3), Stretch(5, 6))
    assert WINDOW.crop(2, 6).speech == WINDOW.speech


def test_times_of_the_recording_in_the_window():
    times = [0, 0.5, 1, 2, 3, 4.5, 5, 6, 8, 9]
    assert [WINDOW.to_window(time) for time in times] == [0, 0, 0, 1, 2, 2, 2, 3, 5, 5]
    assert [WINDOW.to_recording(time) for time in (-1, 0, 2, 2.5, 5, 6)] == [1, 1, 3, 5.5, 8, 8]


def test_runs_that_touch_do_not_overlap():
    runs = [Stretch(0, 1), Stretch(2, 3), Stretch(4, 5)]
    assert _overlapping(runs, 1, 4) == (Stretch(2, 3),)
    assert _overlapping(runs, 0.5, 4.5) == tuple(runs)
    assert _overlapping(runs, 1, 2) == ()
