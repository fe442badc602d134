"""A transcript in every form: safe to write as JSON, rounded once, times in order."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_diarization.errors import InvalidParameterError
from asr_diarization.formats.json import (
    from_json,
    to_diarized_json,
    to_json,
    to_segment,
    to_text_json,
    to_verbose_json,
)
from asr_diarization.formats.openai_response import DiarizedJson, TextJson, VerboseJson
from asr_diarization.formats.registry import FORMATS
from asr_diarization.formats.response import (
    MAX_NAMES,
    ResponseJson,
    SegmentEventJson,
    TranscriptJson,
)
from asr_diarization.formats.speakers import to_rttm, to_seglst
from asr_diarization.formats.subtitles import MAX_CUE_CHARACTERS, MAX_CUE_SECONDS, to_srt, to_vtt
from asr_diarization.formats.text import to_conversation, to_text
from asr_diarization.formats.validation import schema_of, validated
from asr_diarization.merging import assign_speakers
from asr_diarization.transcript import Segment, Transcript, Turn, Word
from tests.support import invented
from tests.support.fakes import say

TURNS = (Turn(0, 2.00049, "SPEAKER_00"), Turn(1.9, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite <well> & so on.", 2, 4), say("Bye!", 4, 5))
TRANSCRIPT = Transcript("en", 5.00049, assign_speakers(SAID, TURNS), TURNS, ("careful",))
SILENCE = Transcript(None, 3.0)


ANYTHING = st.characters(codec="utf-8")


@st.composite
def transcripts(draw, alphabet=ANYTHING, *, overlapping=False):
    """Words may be blank; they are all by the segment's speaker."""
    segments, now, last = [], 0.0, 0.0
    for _ in range(draw(st.integers(0, 6))):
        begins_at = draw(st.floats(0, now)) if overlapping else now
        now = begins_at + draw(st.floats(0, 4000))
        words = []
        who = draw(st.sampled_from(["SPEAKER_00", "SPEAKER_01", None]))
        for _ in range(draw(st.integers(0, 40))):
            start = now + draw(st.floats(0, 3))
            now = start + draw(st.floats(0, 3))
            text = " " + draw(st.text(alphabet, max_size=30))
            words.append(Word(text, start, now, draw(st.none() | st.floats(0, 1)), who))
        text = "".join(word.text for word in words).strip()
        start = words[0].start if words else now
        sure = draw(st.none() | st.floats(0, 1))
        segment = Segment(start, now, text, tuple(words), who, "en", draw(st.booleans()), sure)
        segments.append(segment)
        last = max(last, now)
    segments.sort(key=lambda segment: segment.start)
    turns = tuple(Turn(s.start, s.end, s.speaker) for s in segments if s.speaker)
    return Transcript("en", last, tuple(segments), turns)


def strict(data):
    """As hosts write it: no NaN, no infinity, nothing but JSON's own types."""
    return json.loads(json.dumps(data, allow_nan=False))


@given(transcripts())
def test_every_form_can_be_written(transcript):
    for form in (to_json, to_verbose_json, to_diarized_json, to_seglst):
        assert strict(form(transcript)) == form(transcript)
    for format_ in FORMATS.values():
        text = format_.write(transcript, "a name")
        text.encode()
        if format_.suffix == "json":
            json.loads(text)


@given(transcripts())
def test_times_are_rounded_to_milliseconds_and_stay_in_order(transcript):
    answer = to_json(transcript)
    for chunk in answer["chunks"]:
        start, end = chunk["timestamp"]
        assert start <= end
        assert [start, end] == [round(start, 3), round(end, 3)]
    words = answer["words"]
    assert all(a["end"] <= b["start"] for a, b in pairwise(words))


CUE = re.compile(r"(\d+)\n(\d\d+):(\d\d):(\d\d),(\d{3}) --> (\d\d+):(\d\d):(\d\d),(\d{3})\n")


def cues_of(srt):
    """(start, end, text) of each, times in milliseconds."""
    heads = list(CUE.finditer(srt))
    ends = [*(match.start() for match in heads), len(srt)][1:]
    assert [int(match[1]) for match in heads] == list(range(1, len(heads) + 1))
    cues = []
    for match, end in zip(heads, ends, strict=True):
        times = [
            ((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(ms)
            for h, m, s, ms in (match.groups()[1:5], match.groups()[5:9])
        ]
        cues.append((*times, srt[match.end() : end].removesuffix("\n\n")))
    return cues


@given(transcripts("abcde"))
def test_subtitles_are_short_and_hold_every_word_in_order(transcript):
    cues = cues_of(to_srt(transcript))
    assert all(start <= end for start, end, _ in cues)
    for _, _, text in cues:
        spoken = re.sub(r"^SPEAKER_0\d: ", "", text)
        assert len(spoken) <= MAX_CUE_CHARACTERS
    said = " ".join(re.sub(r"^SPEAKER_0\d: ", "", text) for _, _, text in cues)
    assert said.split() == [word for s in transcript.segments for word in s.text.split()]


@given(transcripts("abcde", overlapping=True))
def test_subtitles_begin_in_order_also_where_people_talk_at_once(transcript):
    starts = [start for start, _, _ in cues_of(to_srt(transcript))]
    assert starts == sorted(starts)
    assert len(starts) >= len(transcript.segments)


def test_cues_are_cut_between_words():
    long = say("word " * 59 + "word", 0, 30)
    blocks = to_srt(Transcript("en", 30, (long,))).strip().split("\n\n")
    texts = [block.split("\n")[2] for block in blocks]
    assert " ".join(texts) == long.text
    assert len(blocks) > 30 / MAX_CUE_SECONDS
    assert max(map(len, texts)) <= MAX_CUE_CHARACTERS
    assert [block.split("\n")[0] for block in blocks] == [str(i + 1) for i in range(len(blocks))]


def test_a_cue_is_measured_by_what_is_seen_of_it():
    words = (Word(" " + "a" * 41, 0, 1), Word(" " + "b" * 42, 1, 2))
    text = "".join(word.text for word in words).strip()
    whole = Segment(0, 2, text, words)
    assert len(text) == MAX_CUE_CHARACTERS
    assert to_srt(Transcript("en", 2, (whole,))).count("-->") == 1


def test_all_forms_agree_on_the_millisecond():
    start, end = 0.2025, 1.3045  # the nearest floats lie just above and just below
    said = say("Hello.", start, end)
    transcript = Transcript("en", 2, (said,), (Turn(start, end, "SPEAKER_00"),))
    (turn,) = to_json(transcript)["turns"]
    assert (turn["start"], turn["end"]) == (round(start, 3), round(end, 3))
    assert f" {turn['start']:.3f} {turn['end'] - turn['start']:.3f} " in to_rttm(transcript)
    stamps = f"00:00:00,{1000 * turn['start']:03.0f} --> 00:00:01,{1000 * turn['end'] - 1000:03.0f}"
    assert stamps in to_srt(transcript)


def test_json_keeps_the_shape_of_the_blog_post():
    answer = to_json(TRANSCRIPT, warnings=["first"])
    assert answer["text"] == "How are you? Quite <well> & so on. Bye!"
    assert answer["chunks"][0] == {"text": "How are you?", "timestamp": [0, 2]}
    assert answer["speakers"] == [
        {"speaker": "SPEAKER_00", "text": "How are you?", "timestamp": [0, 2]},
        {"speaker": "SPEAKER_01", "text": "Quite <well> & so on. Bye!", "timestamp": [2, 5]},
    ]
    assert answer["turns"][0] == {"speaker": "SPEAKER_00", "start": 0, "end": 2.0}
    assert answer["words"][0] == {
        "word": "How",
        "start": 0,
        "end": 0.667,
        "probability": 0.5,
        "speaker": "SPEAKER_00",
    }
    assert answer["warnings"] == ["first", "careful"]
    assert (answer["language"], answer["duration"]) == ("en", 5.0)


def test_silence_in_every_form():
    assert to_text(SILENCE) == to_conversation(SILENCE) == to_srt(SILENCE) == to_rttm(SILENCE) == ""
    assert to_vtt(SILENCE) == "WEBVTT\n\n"
    answer = to_json(SILENCE)
    assert (answer["text"], answer["language"], answer["duration"]) == ("", None, 3.0)
    assert answer["chunks"] == answer["speakers"] == answer["words"] == answer["turns"] == []


def test_without_turns_no_speakers_are_listed():
    assert to_json(Transcript("en", 5.0, SAID))["speakers"] == []


def test_conversation_has_a_line_for_every_utterance():
    assert to_conversation(TRANSCRIPT) == (
        "[00:00.0 SPEAKER_00] How are you?\n[00:02.0 SPEAKER_01] Quite <well> & so on. Bye!\n"
    )
    late = Transcript("en", 9000.0, (say("Late.", 3661.25, 3662),))
    assert to_conversation(late) == "[1:01:01.2] Late.\n"


def test_srt_names_the_speakers():
    assert to_srt(TRANSCRIPT).startswith(
        "1\n00:00:00,000 --> 00:00:02,000\nSPEAKER_00: How are you?\n\n2\n"
    )


def test_vtt_escapes_what_would_be_markup():
    assert "<v SPEAKER_01>Quite &lt;well&gt; &amp; so on.</v>" in to_vtt(TRANSCRIPT)


def test_a_speakers_name_breaks_no_form():
    name = "Ann <the first> & Co"
    segment = replace(say("Hi.", 0, 1), speaker=name)
    named = replace(TRANSCRIPT, segments=(segment,), turns=(Turn(0, 1, name),))
    assert len(to_rttm(named).split()) == 10
    assert "<v Ann &lt;the first&gt; &amp; Co>Hi.</v>" in to_vtt(named)


def test_rttm_is_read_by_position():
    lines = to_rttm(TRANSCRIPT, "my call").splitlines()
    assert lines[0] == "SPEAKER my_call 1 0.000 2.000 <NA> <NA> SPEAKER_00 <NA> <NA>"
    assert all(len(line.split()) == 10 for line in lines)


def test_seglst_has_the_keys_that_meeteval_reads():
    assert to_seglst(TRANSCRIPT, "call")[0] == {
        "session_id": "call",
        "start_time": 0,
        "end_time": 2,
        "speaker": "SPEAKER_00",
        "words": "How are you?",
    }


def test_openai_forms():
    verbose, diarized = to_verbose_json(TRANSCRIPT), to_diarized_json(TRANSCRIPT)
    assert verbose["segments"][1] == {
        "id": 1,
        "start": 2,
        "end": 4,
        "text": "Quite <well> & so on.",
    }
    assert verbose["words"][0] == {"word": "How", "start": 0, "end": 0.667}
    assert diarized["segments"][0]["type"] == "transcript.text.segment"
    assert [s["speaker"] for s in diarized["segments"]] == ["SPEAKER_00"] + 2 * ["SPEAKER_01"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_a_file_properly(name):
    text = FORMATS[name].write(TRANSCRIPT, "call")
    assert text.endswith("\n")
    assert "SPEAKER_00" in text or name == "verbose_json"


def read(answer):
    """The transcript in an answer, as it comes back from a client."""
    return from_json(validated(TranscriptJson, json.loads(json.dumps(answer))))


@given(st.one_of(invented.transcripts(), invented.transcripts(overlapping=True)))
def test_every_format_can_be_written_from_the_json(transcript):
    again = read(to_json(transcript))
    for name, format_ in FORMATS.items():
        assert format_.write(again, "a call") == format_.write(transcript, "a call"), name


@pytest.mark.parametrize(
    "texts",
    [["a", " ", " b"], [" ", " a", " b"], [" a", " b", " "], [" a", "", "\x1c", " b\n", ""]],
)
def test_blank_words_keep_their_times(texts):
    words = tuple(Word(text, float(i), i + 1.0) for i, text in enumerate(texts))
    segment = Segment(0.0, float(len(texts)), "".join(texts).strip(), words)
    after = Segment(6.0, 7.0, "c", (Word(" c", 6.0, 7.0),))
    again = read(to_json(Transcript("en", 7.0, (segment, after))))
    assert [[word.start for word in s.words] for s in again.segments] == [
        [word.start for word in words],
        [6.0],
    ]
    assert "".join(word.text for word in again.segments[0].words).strip() == segment.text


def test_a_segment_that_was_rewritten_loses_its_words_and_no_other_does():
    answer = to_json(TRANSCRIPT)
    answer["segments"][1]["text"] = "Not so well."
    again = read(answer)
    assert [len(segment.words) for segment in again.segments] == [3, 0, 1]
    assert "SPEAKER_01: Not so well." in to_srt(again)
    answer["segments"][0]["text"] = "How are you"  # begins as its words do
    assert [len(segment.words) for segment in read(answer).segments] == [0, 0, 1]


def test_words_beyond_the_segments_are_left_out():
    answer = to_json(TRANSCRIPT)
    del answer["segments"][2], answer["words"][0]
    assert [len(segment.words) for segment in read(answer).segments] == [0, 5]


def changed(path, value):
    """An answer in which one field has another value, or is missing when `value` is "del"."""
    answer = {**to_json(TRANSCRIPT), "embeddings": {"SPEAKER_00": [0.5]}}
    *parents, last = path
    inner = answer
    for step in parents:
        inner = inner[step]
    if value == "del":
        del inner[last]
    else:
        inner[last] = value
    return answer


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["words"], "del", "words is missing"),
        (["words", 2, "start"], "del", "words[2].start is missing"),
        (["words"], None, "words must be a valid list, not None"),
        (["words", 2, "start"], "1", "words[2].start must be a valid number, not '1'"),
        (["words", 2, "start"], True, "words[2].start must be a valid number, not True"),
        (["words", 2, "start"], float("nan"), "words[2].start must be a finite number, not nan"),
        (["words", 2, "end"], 1e300, "words[2].end must be less than or equal to 1000000000"),
        (["segments", 0, "start"], -1, "segments[0].start must be greater than or equal to 0"),
        (["turns", 0, "speaker"], "", "turns[0].speaker must have at least 1 character"),
        (["embeddings", "SPEAKER_00", 0], None, "embeddings.SPEAKER_00[0] must be a valid number"),
        (
            ["embeddings"],
            {str(i): [] for i in range(MAX_NAMES + 1)},
            "embeddings must have at most 1000 names",
        ),
        (["turns", 0, "start"], 1e8, "a turn must satisfy 0 <= start <= end"),
    ],
)
def test_a_bad_field_is_named(path, value, sentence):
    with pytest.raises(InvalidParameterError) as caught:
        from_json(validated(TranscriptJson, changed(path, value)))
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_is_no_object_is_refused():
    with pytest.raises(InvalidParameterError, match="the body must be a valid dictionary, not 3"):
        validated(TranscriptJson, 3)


@given(invented.transcripts())
def test_json_has_the_declared_fields_and_no_other(transcript):
    """Validation leaves out fields that are not declared."""
    for kind, convert in (
        (ResponseJson, to_json),
        (TextJson, to_text_json),
        (VerboseJson, to_verbose_json),
        (DiarizedJson, to_diarized_json),
    ):
        assert validated(kind, convert(transcript)) == convert(transcript)
    for segment in transcript.segments:
        assert validated(SegmentEventJson, to_segment(segment)) == to_segment(segment)


def test_the_schema_describes_every_field():
    schema = schema_of(ResponseJson)
    assert "$ref" not in json.dumps(schema)
    assert set(schema["required"]) == set(schema["properties"]) - {"similarities", "embeddings"}
    for field in schema["properties"].values():
        for properties in (field, *field.get("items", {}).get("properties", {}).values()):
            assert properties["description"]
    assert schema["properties"]["words"]["description"] == "Every word, segment after segment."
