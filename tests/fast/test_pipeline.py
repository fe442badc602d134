"""The core with scripted engines: what it hands to them, and what it makes of their answers."""

from __future__ import annotations

import io
import math
import wave
from dataclasses import replace

import numpy as np
import pytest

from asr_diarization.audio.decode import decode_audio, decode_channels
from asr_diarization.config import InferenceConfig, ModelSettings
from asr_diarization.errors import (
    AudioTooLongError,
    CancelledError,
    InvalidAudioError,
    InvalidParameterError,
    OutOfMemoryError,
)
from asr_diarization.pipeline import Pipeline
from asr_diarization.transcript import Turn
from tests.support.fakes import (
    ScriptedDiarizer,
    ScriptedSpeech,
    ScriptedTranscriber,
    pipeline,
    say,
    wav,
)

TURNS = (Turn(0, 2, "SPEAKER_00"), Turn(2, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite well.", 2, 4))


def test_who_said_what():
    transcriber, diarizer = ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS)
    transcript = pipeline(transcriber, diarizer)(wav(4.0))
    assert [(s.speaker, s.text) for s in transcript.segments] == [
        ("SPEAKER_00", "How are you?"),
        ("SPEAKER_01", "Quite well."),
    ]
    assert (transcript.language, transcript.turns, transcript.warnings) == ("en", TURNS, ())
    assert transcript.duration == pytest.approx(4.0)
    assert len(transcriber.calls) == len(diarizer.calls) == 1


def test_words_go_by_exclusive_turns_and_the_answer_shows_the_regular_ones():
    regular = (Turn(0, 4, "A"), Turn(0, 4, "B"))
    diarizer = ScriptedDiarizer(regular, exclusive=(Turn(0, 2, "A"), Turn(2, 4, "B")))
    transcript = pipeline(ScriptedTranscriber(SAID), diarizer)(wav(4.0))
    assert [segment.speaker for segment in transcript.segments] == ["SPEAKER_00", "SPEAKER_01"]
    assert transcript.turns == (Turn(0, 4, "SPEAKER_00"), Turn(0, 4, "SPEAKER_01"))


def test_speakers_are_numbered_as_they_begin_to_say_something():
    turns = (Turn(0, 0.1, "B"), Turn(0.2, 2, "A"), Turn(2, 4, "B"), Turn(4, 5, "C"))
    found = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(turns))(wav(5.0))
    assert [segment.speaker for segment in found.segments] == ["SPEAKER_00", "SPEAKER_01"]
    assert [turn.speaker[-1] for turn in found.turns] == ["1", "0", "1", "2"]


def test_silence_costs_no_model_a_thing():
    diarizer = ScriptedDiarizer(TURNS)
    transcriber = ScriptedTranscriber(SAID)
    transcript = pipeline(transcriber, diarizer, ScriptedSpeech([]))(wav(2.0, hertz=0))
    assert (transcript.segments, transcript.turns, transcript.language) == ((), (), None)
    assert transcript.duration == pytest.approx(2.0)
    assert diarizer.calls == []
    assert all(windows == () for windows, _ in transcriber.calls)


@pytest.mark.parametrize("concurrent", [False, True])
def test_speech_that_only_the_diarization_hears_is_transcribed(concurrent):
    run = Pipeline(
        ScriptedTranscriber(SAID),
        ScriptedDiarizer(TURNS),
        ScriptedSpeech([(2.3, 4)]),
        ModelSettings(),
        concurrent=concurrent,
    )
    transcript = run(wav(4.0))
    assert [(s.speaker, s.text) for s in transcript.segments] == [
        ("SPEAKER_00", "How are you?"),
        ("SPEAKER_01", "Quite well."),
    ]
    assert transcript.stats["windows"] == (2 if concurrent else 1)


def test_improbable_words_that_only_the_diarization_hears_are_dropped_with_their_turns():
    cough = say("Oh", 0, 2)
    cough = replace(cough, words=tuple(replace(w, probability=0.1) for w in cough.words))
    run = pipeline(ScriptedTranscriber([cough]), ScriptedDiarizer(TURNS), ScriptedSpeech([]))
    transcript = run(wav(4.0))
    assert (transcript.segments, transcript.turns) == ((), ())


def test_a_low_confidence_is_named():
    said = say("Where the three cons are.", 0, 4)
    said = replace(said, words=tuple(replace(w, probability=0.3) for w in said.words))
    (warning,) = pipeline(ScriptedTranscriber([said]))(wav(4.0)).warnings
    assert "low confidence" in warning


@pytest.mark.parametrize("seconds", [1 / 16000, 0.01, 0.05])
def test_hardly_any_sound_is_no_error(seconds):
    transcript = pipeline(speech=ScriptedSpeech([]))(wav(seconds))
    assert transcript.segments == ()


def test_without_a_diarizer_nobody_is_named():
    transcript = pipeline(ScriptedTranscriber(SAID))(wav(4.0))
    assert {segment.speaker for segment in transcript.segments} == {None}
    assert transcript.turns == transcript.warnings == ()


def test_speakers_can_be_left_out():
    diarizer = ScriptedDiarizer(TURNS)
    run = pipeline(ScriptedTranscriber(SAID), diarizer)
    transcript = run(wav(4.0), InferenceConfig(diarize=False))
    assert diarizer.calls == []
    assert {segment.speaker for segment in transcript.segments} == {None}


@pytest.mark.parametrize(
    ("diarizer", "parameters", "why"),
    [
        (None, InferenceConfig(num_speakers=2), "DIARIZATION_MODEL"),
        (None, InferenceConfig(min_speakers=1, max_speakers=3), "min_speakers, max_speakers"),
        (ScriptedDiarizer(), InferenceConfig(num_speakers=2, diarize=False), "diarize=false"),
    ],
)
def test_a_wish_without_effect_is_named(diarizer, parameters, why):
    (warning,) = pipeline(ScriptedTranscriber(SAID), diarizer)(wav(4.0), parameters).warnings
    assert "no effect" in warning
    assert why in warning


def test_a_wish_with_effect_reaches_the_diarizer_without_a_warning():
    diarizer = ScriptedDiarizer(TURNS)
    wishes = InferenceConfig(num_speakers=2)
    assert pipeline(ScriptedTranscriber(SAID), diarizer)(wav(4.0), wishes).warnings == ()
    assert diarizer.calls[0][1] == wishes


@pytest.mark.parametrize(
    ("wishes", "warning"),
    [
        (InferenceConfig(num_speakers=2), None),
        (
            InferenceConfig(num_speakers=3),
            "num_speakers is 3, but the recording has turns of 2 only",
        ),
        (
            InferenceConfig(min_speakers=4),
            "min_speakers is 4, but the recording has turns of 2 only",
        ),
        (InferenceConfig(max_speakers=4), None),
    ],
)
def test_fewer_speakers_than_wanted_are_named(wishes, warning):
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))
    warnings = run(wav(4.0), wishes).warnings
    assert [w[: len(warning or "")] for w in warnings] == ([warning] if warning else [])
    assert run(wav(4.0), InferenceConfig()).warnings == ()
    silent = pipeline(diarizer=ScriptedDiarizer(), speech=ScriptedSpeech([]))
    assert silent(wav(4.0), wishes).warnings == ()


@pytest.mark.parametrize(
    ("wishes", "turn_taking", "number", "is_named"),
    [
        ({}, 0.1, 1, True),
        ({}, 0.09, 1, False),
        ({}, 0.9, 2, False),
        ({"min_speakers": 1, "max_speakers": 3}, 0.1, 1, True),
        ({"num_speakers": 1}, 0.9, 1, False),
        ({"max_speakers": 1}, 0.9, 1, False),
    ],
)
def test_one_voice_in_what_sounds_like_a_conversation_is_named(
    wishes, turn_taking, number, is_named
):
    turns = [Turn(0, 2, "A"), Turn(2, 4, "AB"[number - 1])]
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(turns, turn_taking=turn_taking))
    warnings = run(wav(4.0), InferenceConfig(**wishes)).warnings
    assert [("num_speakers" in w, "conversation" in w) for w in warnings] == [
        (True, True)
    ] * is_named


def test_who_says_too_little_for_an_embedding_is_named_if_one_was_asked_for():
    turns = [Turn(0, 2, "A"), Turn(2, 4, "B")]
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(turns, None, {"A": (1.0, 0.0)}))
    assert run(wav(4.0), InferenceConfig()).warnings == ()
    (warning,) = run(wav(4.0), InferenceConfig(return_embeddings=True)).warnings
    assert warning == (
        "return_embeddings has no effect: SPEAKER_01 said too little for an embedding"
    )


def two_channels(seconds=20):
    """A call: one side makes a noise in even seconds, the other in odd ones."""
    talks = np.arange(seconds * 16000) // 16000 % 2
    noise = np.random.default_rng(0).normal(0, 3000, (2, len(talks)))
    sides = (noise * (talks == [[0], [1]])).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sides.T.tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("wishes", "heard_apart"),
    [
        ({}, 2),
        ({"num_speakers": 2}, 2),
        ({"max_speakers": 4}, 2),
        ({"num_speakers": 3}, 1),
        ({"max_speakers": 1}, 1),
        ({"min_speakers": 3}, 1),
        ({"num_speakers": 3, "channels": "separate"}, 2),
        ({"channels": "mix"}, 1),
    ],
)
def test_a_call_is_taken_for_one_unless_more_or_fewer_people_are_said_to_talk(wishes, heard_apart):
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))
    assert run(two_channels(), InferenceConfig(**wishes)).stats["channels"] == heard_apart


SIDES = (say("How are you?", 0, 1), say("Quite well.", 1, 2))


def test_each_channel_is_a_speaker_with_an_embedding_on_request():
    diarizer = ScriptedDiarizer(TURNS)
    spans = [(0, 1), (1, 2)]
    run = pipeline(ScriptedTranscriber(SIDES), diarizer, ScriptedSpeech(spans))
    wishes = InferenceConfig(channels="separate", return_embeddings=True)
    transcript = run(two_channels(2), wishes)
    assert diarizer.calls == []
    assert set(transcript.embeddings) == {"CHANNEL_00", "CHANNEL_01"}
    assert {turn.speaker for turn in transcript.turns} == {"CHANNEL_00", "CHANNEL_01"}
    assert {segment.speaker for segment in transcript.segments} <= {"CHANNEL_00", "CHANNEL_01"}
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    assert run(two_channels(2), InferenceConfig(channels="separate")).embeddings == {}
    little = pipeline(ScriptedTranscriber(SIDES), diarizer, ScriptedSpeech([(0, 0.9)]))
    assert little(two_channels(2), wishes).embeddings == {}  # less than a second of speech


@pytest.mark.parametrize(
    ("audio", "wishes", "warning"),
    [
        ("call", {"num_speakers": 3}, "num_speakers has no effect: each channel is one speaker"),
        ("mono", {}, "channels has no effect: the recording has one channel"),
        ("mono", {"diarize": False}, "channels has no effect: diarize=false"),
        ("call", {"diarize": False}, "channels has no effect: diarize=false"),
        ("call", {}, None),
    ],
)
def test_separate_channels_may_have_no_effect(audio, wishes, warning):
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))
    data = two_channels() if audio == "call" else wav(4.0)
    transcript = run(data, InferenceConfig(channels="separate", **wishes))
    assert transcript.warnings == ((warning,) if warning else ())


def test_a_file_that_is_open_need_not_be_in_memory(tmp_path):
    path = tmp_path / "call.wav"
    path.write_bytes(wav(4.0))
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))
    with path.open("rb") as file:
        file.read(1000)  # wherever it stands
        assert run(file).segments == run(path.read_bytes()).segments


def test_assisted_decoding_needs_an_assistant():
    assisted = InferenceConfig(assisted=True)
    with pytest.raises(InvalidParameterError, match="ASSISTANT_MODEL"):
        pipeline(ScriptedTranscriber(SAID))(wav(4.0), assisted)
    run = pipeline(ScriptedTranscriber(SAID, has_assistant=True))
    assert run(wav(4.0), assisted).segments


def test_what_the_transcriber_cannot_do_is_refused_before_any_work():
    transcriber = ScriptedTranscriber(SAID)
    with pytest.raises(InvalidParameterError, match="klingon"):
        pipeline(transcriber)(b"not even audio", InferenceConfig(language="klingon"))
    assert transcriber.calls == []


def test_bad_audio_is_refused_and_the_next_request_works():
    run = pipeline(ScriptedTranscriber(SAID), max_audio_seconds=5.0)
    for audio, error in ((b"", InvalidAudioError), (b"x" * 99, InvalidAudioError)):
        with pytest.raises(error):
            run(audio)
    with pytest.raises(AudioTooLongError, match="MAX_AUDIO_SECONDS"):
        run(wav(6.0))
    assert len(run(wav(4.0)).segments) == 2


def test_windows_keep_to_the_length_the_caller_wants():
    transcriber = ScriptedTranscriber()
    pipeline(transcriber)(wav(70.0), InferenceConfig(chunk_length_s=10, batch_size=3))
    ((windows, parameters),) = transcriber.calls
    assert max(window.duration for window in windows) <= 10 + 1e-6
    assert sum(window.duration for window in windows) == pytest.approx(70, abs=0.1)
    assert parameters.batch_size == 3


def test_the_language_is_the_one_most_of_the_speech_is_in():
    said = (say("Guten Tag", 0, 1, "de"), say("Hello, I am glad.", 1, 4, "en"))
    assert pipeline(ScriptedTranscriber(said))(wav(4.0)).language == "en"
    unknown = (say("Hm hm hm hm", 0, 3, None), say("Ja", 3, 4, "de"))
    assert pipeline(ScriptedTranscriber(unknown))(wav(4.0)).language == "de"


def test_progress_is_told_and_what_it_raises_stops_the_work():
    told = []
    run = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))
    run(wav(4.0), None, told.append)
    stages = dict.fromkeys(progress.stage for progress in told if progress.done)
    assert list(stages) == ["decode", "diarize", "transcribe"]
    assert [len(p.waveforms) for p in told if p.stage == "decode" and p.done] == [1]
    assert all(0 <= progress.done <= progress.total for progress in told)
    assert [s for progress in told for s in progress.segments] == list(SAID)

    def stop(_):
        raise CancelledError("nobody waits")

    with pytest.raises(CancelledError):
        run(wav(4.0), None, stop)
    assert run(wav(4.0)).segments


def test_diarizing_beside_transcribing_gives_the_same_and_errors_reach_the_caller():
    settings = ModelSettings()
    transcriber, diarizer = ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS)
    run = Pipeline(transcriber, diarizer, ScriptedSpeech(), settings, concurrent=True)
    assert run(wav(4.0)).segments == pipeline(transcriber, diarizer)(wav(4.0)).segments
    diarizer.error = CancelledError("nobody waits")
    with pytest.raises(CancelledError):
        run(wav(4.0))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory")])
def test_lack_of_memory_is_told_with_the_way_out(error):
    transcriber = ScriptedTranscriber(SAID)
    transcriber.error = error
    with pytest.raises(OutOfMemoryError, match="send a shorter one"):
        pipeline(transcriber)(wav(4.0))
    transcriber.error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        pipeline(transcriber)(wav(4.0))


@pytest.mark.parametrize("stage", ["decode", "find_speech"])
def test_the_work_can_be_stopped_before_there_is_anything_to_tell(stage):
    calls, transcriber = [], ScriptedTranscriber(SAID)

    def stop(progress):
        calls.append((progress.stage, progress.done))
        if calls.count((stage, 0)) == 3:
            raise CancelledError("nobody waits")

    speech = ScriptedSpeech()
    speech.blocks = 5
    with pytest.raises(CancelledError):
        pipeline(transcriber, speech=speech)(wav(60.0), None, stop)
    assert calls.count((stage, 0)) == 3
    assert transcriber.calls == []


def test_a_recording_of_a_minute_can_be_stopped_every_few_seconds_while_it_is_decoded():
    calls = []
    for decode in (decode_audio, decode_channels):
        calls.clear()
        decode(wav(60.0), max_seconds=100, on_block=lambda: calls.append(1))
        assert len(calls) >= 20


def test_stats_are_finite_numbers():
    stats = pipeline(ScriptedTranscriber(SAID), ScriptedDiarizer(TURNS))(wav(4.0)).stats
    assert stats["audio_seconds"] == pytest.approx(4.0)
    assert all(math.isfinite(seconds) for seconds in stats["seconds"].values())


def test_languages_have_no_effect_beside_the_language():
    parameters = InferenceConfig(language="en", languages=["en", "es"])
    transcript = pipeline()(wav(1.0), parameters)
    assert transcript.warnings == ("languages has no effect: language is given",)
