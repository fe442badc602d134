"""Faults of the implementation this project started from: each is named, and ours does not have it.

Its other faults (a token and a network for its tests, an event loop that stands still, assistants
loaded as decoder-only whatever they are) concern parts that have tests of their own; conftest.py
blocks the network.
"""

from __future__ import annotations

import base64
import json

import pytest

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidRequestError, OutOfMemoryError
from asr_diarization.formats.json import to_json
from asr_diarization.merging import assign_speakers, group_by_speaker
from asr_diarization.payloads import parse_payload
from asr_diarization.transcript import Turn
from tests.support.fakes import (
    ScriptedDiarizer,
    ScriptedSpeech,
    ScriptedTranscriber,
    pipeline,
    say,
    wav,
)


def merged(turns, chunks):
    return [(s.speaker, s.text) for s in group_by_speaker(assign_speakers(chunks, turns))]


def test_silence_is_no_error():
    """The seed took the first of the turns, of which there were none."""
    silent = pipeline(ScriptedTranscriber(), ScriptedDiarizer(), ScriptedSpeech([]))
    answer = to_json(silent(wav(1.0)))
    assert answer["text"] == ""
    assert answer["chunks"] == answer["speakers"] == answer["words"] == answer["turns"] == []


def test_a_back_channel_takes_no_sentence():
    """The seed gave every turn a chunk, also a "mm" that nobody wrote down."""
    turns = [Turn(0, 4, "A"), Turn(4, 4.2, "B"), Turn(4.2, 8, "A")]
    chunks = [say("So I went there.", 0, 4), say("And then I left.", 4.2, 8)]
    assert merged(turns, chunks) == [("A", "So I went there. And then I left.")]


def test_what_is_said_after_the_last_turn_is_kept():
    """The seed dropped the chunks after the one that ends nearest to the last turn's end."""
    turns = [Turn(0, 2, "A")]
    chunks = [say("Hello.", 0, 2), say("Still there?", 2.5, 4), say("Well.", 30, 31)]
    assert merged(turns, chunks) == [("A", "Hello. Still there?"), (None, "Well.")]


def test_a_chunk_of_two_speakers_is_split_between_them():
    """The seed never split a chunk."""
    turns = [Turn(0, 2, "A"), Turn(2, 4, "B")]
    chunks = [say("How are you? Quite well, thanks.", 0, 4)]
    assert merged(turns, chunks) == [("A", "How are you?"), ("B", "Quite well, thanks.")]


def test_the_sampling_rate_changes_no_time():
    """The seed resampled the waveform, but gave the old rate to the diarizer."""
    turns = [Turn(0, 2, "A"), Turn(2, 4, "B")]
    chunks = [say("How are you?", 0, 2), say("Quite well.", 2, 4)]
    run = pipeline(ScriptedTranscriber(chunks), ScriptedDiarizer(turns))
    recording = wav(4.0, rate=8000)
    answers = []
    for rate in (8000, 16000, 48000):
        answer = to_json(run(recording, InferenceConfig(sampling_rate=rate)))
        del answer["stats"]
        answers.append(answer)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["turns"][1] == {"speaker": "SPEAKER_01", "start": 2.0, "end": 4.0}


def test_assisted_decoding_takes_any_batch_size():
    """With an assistant, transformers refused the batches of the seed."""
    assistant = ScriptedTranscriber([say("Hello.", 0, 1)], has_assistant=True)
    run = pipeline(assistant)
    transcript = run(wav(1.0), InferenceConfig(assisted=True, batch_size=24))
    assert to_json(transcript)["text"] == "Hello."


def test_lack_of_memory_is_not_called_the_callers_fault():
    """The seed answered every RuntimeError with status 400."""
    transcriber = ScriptedTranscriber()
    transcriber.error = OutOfMemoryError("not enough memory")
    with pytest.raises(OutOfMemoryError) as caught:
        pipeline(transcriber)(wav(1.0))
    assert not isinstance(caught.value, InvalidRequestError | ValueError)


def test_a_request_can_be_written_as_json():
    """The seed's client put the bytes of base64 into it, which JSON does not have."""
    audio = wav(0.1)
    body = {"inputs": base64.b64encode(audio).decode(), "parameters": {"num_speakers": 2}}
    request = parse_payload(json.loads(json.dumps(body)))
    assert request.audio == audio
    assert request.parameters.num_speakers == 2
