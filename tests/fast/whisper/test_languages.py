"""The language of each window: one odd window changes nothing, a real change is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.audio.windows import Stretch, Window
from asr_diarization.whisper.languages import LanguageAgreement, restrict, split_by_language

SILENCE = np.zeros(30 * SAMPLE_RATE, dtype=np.float32)
ENGLISH, SPANISH, UNSURE = (
    {"en": 0.95, "es": 0.05},
    {"en": 0.05, "es": 0.95},
    {"en": 0.6, "es": 0.4},
)


def window(*speech, waveform=SILENCE):
    spoken = tuple(Stretch(*run) for run in speech)
    return Window(waveform, (Stretch(spoken[0].start, spoken[-1].end),), spoken)


def detector_of(*spoken):
    """A detector of (start, end, probabilities), by the middle of the times it is called with."""
    asked = []

    def detect(start, end):
        asked.append((start, end))
        middle = (start + end) / 2
        return next(p for first, last, p in spoken if first <= middle < last)

    return detect, asked


def test_only_allowed_languages_share_the_probability():
    heard = {"cy": 0.6, "en": 0.3, "es": 0.1}
    assert restrict(heard, {"en", "es"}) == pytest.approx({"en": 0.75, "es": 0.25})
    assert restrict(heard, ()) == pytest.approx(heard)
    assert restrict({"en": 1.0, "es": 0.0, "de": 0.0}, {"es", "de"}) == {"es": 0.5, "de": 0.5}


class TestAgreement:
    def test_one_unsure_window_does_not_flip_a_recording(self):
        windows = [window((0, 5))] * 3
        languages = LanguageAgreement().agree(windows, [ENGLISH, {"en": 0.4, "es": 0.6}, ENGLISH])
        assert languages == ("en", "en", "en")

    def test_a_window_that_is_sure_keeps_its_own(self):
        windows = [window((0, 5))] * 3
        assert LanguageAgreement().agree(windows, [ENGLISH, SPANISH, ENGLISH]) == ("en", "es", "en")

    def test_a_part_that_was_cut_out_keeps_its_own(self):
        windows = [window((0, 5)), replace(window((0, 5)), language="es")]
        assert LanguageAgreement().agree(windows, [ENGLISH, ENGLISH]) == ("en", "es")

    def test_what_was_heard_before_counts(self):
        agreement, one = LanguageAgreement(), window((0, 5))
        agreement.agree([one, one], [ENGLISH, ENGLISH])
        assert agreement.agree([one], [{"en": 0.4, "es": 0.6}]) == ("en",)

    def test_recordings_do_not_mix(self):
        other = window((0, 5), waveform=SILENCE.copy())
        found = LanguageAgreement().agree(
            [window((0, 5)), window((0, 5)), other], [ENGLISH, ENGLISH, {"en": 0.4, "es": 0.6}]
        )
        assert found == ("en", "en", "es")

    def test_windows_count_by_their_speech(self):
        windows = [window((0, 10)), window((0, 1)), window((0, 1))]
        one, other = {"en": 0.8, "es": 0.2}, {"en": 0.2, "es": 0.8}
        assert LanguageAgreement().agree(windows, [one, other, other]) == ("en", "en", "en")


YIDDISH = {"yi": 0.6, "de": 0.3, "en": 0.1}


class TestSettle:
    """The language of an unsure recording is that of the most probable text."""

    def settle(self, agreement, windows, probabilities, scores):
        """The languages, and what was tried; `scores` are of each window, by language."""
        tried = []

        def score(languages):
            tried.append(tuple(languages))
            return [of_window[name] for of_window, name in zip(scores, languages, strict=True)]

        found = agreement.agree(windows, probabilities)
        return agreement.settle(windows, found, score), tried

    def test_the_most_probable_text_decides(self):
        found = self.settle(
            LanguageAgreement(), [window((0, 5))], [YIDDISH], [{"yi": -0.9, "de": -0.4}]
        )
        assert found == (("de",), [("yi",), ("de",)])

    def test_a_sure_recording_costs_nothing(self):
        found = self.settle(LanguageAgreement(), [window((0, 5))], [{"en": 0.7, "de": 0.3}], [{}])
        assert found == (("en",), [])

    def test_windows_of_a_recording_decide_together(self):
        scores = [{"yi": -0.4, "de": -0.5}, {"yi": -0.9, "de": -0.4}]
        found, _ = self.settle(LanguageAgreement(), [window((0, 5))] * 2, [YIDDISH] * 2, scores)
        assert found == ("de", "de")

    def test_a_certain_window_and_another_recording_keep_theirs(self):
        windows = [window((0, 9)), window((10, 11)), window((0, 5), waveform=SILENCE.copy())]
        scores = [{"yi": -0.9, "de": -0.4}, {"es": -0.1}, {"en": -0.1}]
        certain = {"es": 0.9, "yi": 0.1}
        found, tried = self.settle(
            LanguageAgreement(), windows, [YIDDISH, certain, ENGLISH], scores
        )
        assert found[1:] == ("es", "en")
        assert {names[1:] for names in tried} == {("es", "en")}

    def test_what_was_settled_holds_for_the_next_batch(self):
        agreement, one = LanguageAgreement(), [window((0, 5))]
        self.settle(agreement, one, [YIDDISH], [{"yi": -0.9, "de": -0.4}])
        assert self.settle(agreement, one, [YIDDISH], [{}]) == (("de",), [])


class TestSplit:
    def test_a_window_of_two_languages_is_cut_in_the_pause(self):
        mixed = window((0, 6), (7, 13), (14, 20))
        detect, _ = detector_of((0, 13.5, ENGLISH), (13.5, 20, SPANISH))
        first, second = split_by_language(mixed, detect)
        assert (first.start, first.end, second.start, second.end) == (0, 13.5, 13.5, 20)
        assert (first.language, second.language) == ("en", "es")
        assert split_by_language(second, detector_of()[0]) == (second,)

    @pytest.mark.parametrize("ends", [(ENGLISH, ENGLISH), (ENGLISH, UNSURE), (UNSURE, UNSURE)])
    def test_unless_both_ends_are_sure_and_differ_it_stays_whole(self, ends):
        whole = window((0, 6), (7, 13), (14, 20))
        detect, asked = detector_of((0, 10, ends[0]), (10, 20, ends[1]))
        assert split_by_language(whole, detect) == (whole,)
        assert len(asked) == 2

    def test_an_unsure_part_goes_with_the_one_before(self):
        mixed = window((0, 6), (7, 13), (14, 20))
        detect, _ = detector_of((0, 6.5, ENGLISH), (6.5, 13.5, UNSURE), (13.5, 20, SPANISH))
        assert [part.end for part in split_by_language(mixed, detect)] == [13.5, 20]

    @pytest.mark.parametrize("speech", [[(0, 6)], [(0, 2), (3, 6)], [(0, 6), (6.2, 12)]])
    def test_nobody_listens_where_there_is_nothing_to_cut(self, speech):
        whole = window(*speech)
        detect, asked = detector_of()
        assert split_by_language(whole, detect) == (whole,)
        assert asked == []

    def test_parts_lie_between_what_is_left_out_of_a_long_pause(self):
        mixed = Window(
            SILENCE, (Stretch(0, 6.5), Stretch(19.5, 26)), (Stretch(0, 6), Stretch(20, 26))
        )
        detect, asked = detector_of((0, 13, ENGLISH), (13, 26, SPANISH))
        parts = split_by_language(mixed, detect)
        assert [part.stretches for part in parts] == [(Stretch(0, 6.5),), (Stretch(19.5, 26),)]
        assert [mixed.to_window(time) for time in asked[0]] == [0, 6.5]
