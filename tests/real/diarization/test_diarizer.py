"""What makes diarization fast changes nothing: shared filters, interpolation, other models."""

from functools import partial

import numpy as np
import pytest
import torch
from pyannote.audio import Model

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.config import InferenceConfig
from asr_diarization.diarization import embeddings
from asr_diarization.diarization.diarizer import PyannoteDiarizer
from asr_diarization.diarization.embeddings import (
    EMBED_EVERY,
    MIN_SUPPORT,
    LocalSpeakers,
    _embed,
    interpolate,
    match_speakers,
    uncertain,
)
from asr_diarization.diarization.pyannet import optimize_pyannet

A, B = VOICES = np.eye(2, dtype=np.float32)


@pytest.fixture(scope="module")
def dialogue(data_dir):
    path = data_dir / "dialogues" / "d1_1min_2spk.flac"
    return decode_audio(path.read_bytes(), max_seconds=60.0)


def seconds_of_difference(*both):
    """How long the turns do not agree on who speaks."""
    grids = []
    for turns in both:
        speaks = np.zeros((6000, 2), dtype=bool)
        for turn in turns:
            speaks[round(turn.start * 100) : round(turn.end * 100), int(turn.speaker[-2:])] = True
        grids.append(speaks)
    orders = ([0, 1], [1, 0])  # what a voice is called means nothing
    return min((grids[0] != grids[1][:, o]).any(axis=1).sum() for o in orders) / 100


@pytest.mark.parametrize("seconds", [10, 11, 20])
def test_shared_filters_change_nothing(models_dir, dialogue, seconds):
    path = models_dir / "diarization" / "segmentation" / "pytorch_model.bin"
    plain, quick = (Model.from_pretrained(str(path)).eval() for _ in range(2))
    optimize_pyannet(quick)
    sound = torch.from_numpy(dialogue[: seconds * SAMPLE_RATE])
    chunks = sound.unfold(0, 10 * SAMPLE_RATE, SAMPLE_RATE)[:, None]
    with torch.inference_mode():
        expected = plain(chunks)
        assert torch.allclose(quick(chunks), expected, atol=1e-3)
        assert torch.allclose(quick(chunks.contiguous()), expected, atol=1e-3)


def test_interpolated_embeddings_leave_the_turns_as_they_were(models_dir, dialogue, monkeypatch):
    diarizer = PyannoteDiarizer(str(models_dir / "diarization"), torch.device("cpu"))
    embedded = []
    embed = LocalSpeakers.embed

    def counting(speakers, wanted, on_chunks):
        embedded.append(wanted.sum())
        embed(speakers, wanted, on_chunks)

    monkeypatch.setattr(LocalSpeakers, "embed", counting)
    found = diarizer.run_pyannote(dialogue, InferenceConfig())
    sparing = sum(embedded)
    embedded.clear()
    monkeypatch.setattr(diarizer._pipeline, "klustering", "another, which does not interpolate")
    expected = diarizer.run_pyannote(dialogue, InferenceConfig())
    # Of a minute. Mostly it is 0; which chunk a close call goes to hangs on the processor's digits.
    assert seconds_of_difference(found.turns, expected.turns) <= 0.6
    assert seconds_of_difference(found.exclusive, expected.exclusive) <= 0.6
    assert sparing < 0.6 * sum(embedded)


def test_less_at_once_when_memory_runs_out_gives_the_same_turns(models_dir, dialogue, monkeypatch):
    diarizer = PyannoteDiarizer(str(models_dir / "diarization"), torch.device("cpu"))
    waveform = dialogue[: 20 * SAMPLE_RATE]
    expected = diarizer.run_pyannote(waveform, InferenceConfig())
    sizes = {"segmentation": [], "embedding": []}

    def at_most_two(stage, network):
        def run(sound, *rest, **options):
            sizes[stage].append(len(sound))
            if len(sound) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return network(sound, *rest, **options)

        return run

    segmentation = diarizer._pipeline._segmentation
    monkeypatch.setattr(segmentation, "infer", at_most_two("segmentation", segmentation.infer))
    embed = embeddings._embed
    monkeypatch.setattr(
        embeddings,
        "_embed",
        lambda network, *rest: at_most_two("embedding", partial(embed, network))(*rest),
    )
    found = diarizer.run_pyannote(waveform, InferenceConfig())
    assert seconds_of_difference(found.turns, expected.turns) <= 0.2
    for tried in sizes.values():
        assert max(tried) > 2
        assert min(tried) >= 1


def test_who_keeps_talking_is_interpolated_and_who_changes_place_is_followed():
    speech = np.zeros((EMBED_EVERY + 1, 100, 2), dtype=np.float32)
    speech[0, :, 0] = speech[1:, :, 1] = 1.0
    matches = match_speakers(speech, step=10.0)
    assert matches[1, 1].tolist() == [0, 1]
    assert (matches[[0, EMBED_EVERY]] == -1).all()
    assert (matches[:, 0] == -1).all()
    vectors = np.full((EMBED_EVERY + 1, 2, 2), np.nan, dtype=np.float32)
    vectors[0, 0], vectors[EMBED_EVERY, 1] = A, B
    interpolate(vectors, matches)
    assert vectors[1, 1].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert np.isnan(vectors[1:, 0]).all()


def test_new_speech_has_no_match():
    speech = np.zeros((EMBED_EVERY + 1, 100, 1), dtype=np.float32)
    speech[1, 50:] = 1.0
    speech[0, :40] = 1.0
    assert (match_speakers(speech, step=10.0) == -1).all()


@pytest.mark.parametrize(("shared", "match"), [(60, 0), (59, -1)])
def test_speakers_match_from_60_percent_of_shared_speech_on(shared, match):
    speech = np.zeros((EMBED_EVERY + 1, 100, 1), dtype=np.float32)
    speech[0] = 1.0
    speech[1, :shared] = 1.0
    assert match_speakers(speech, step=0.0)[1, 0].tolist() == [match, -1]


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_few_doubts_are_their_own_and_many_are_everybodys(share):
    vectors = np.tile(VOICES, (100, 1, 1))
    unsure = np.zeros((100, 2), dtype=bool)
    unsure[: round(100 * share)] = True
    vectors[unsure] = A + B
    found = uncertain(vectors, VOICES)
    assert found.all() if share > 0.1 else (found == unsure).all()


@pytest.mark.parametrize("times", [MIN_SUPPORT - 1, MIN_SUPPORT])
def test_a_voice_hardly_heard_makes_everything_uncertain(times):
    vectors = np.tile(A, (100, 1, 1))
    vectors[:times] = B
    assert uncertain(vectors, VOICES).any() == (times < MIN_SUPPORT)


def test_voices_without_centroids_are_uncertain():
    nowhere = np.full((1, 2), np.nan, dtype=np.float32)
    assert uncertain(np.tile(A, (50, 1, 1)), nowhere).all()


def test_a_model_that_takes_one_speaker_at_a_time_hears_only_those_who_speak():
    class Embedding:
        dimension = 2
        heard = 0

        def __call__(self, sound, masks):
            self.heard += len(sound)
            return np.stack([sound[:, 0].mean(dim=1), masks.sum(dim=1)], axis=1)

    embedding = Embedding()
    weights = np.zeros((2, 3, 10), dtype=np.float32)
    weights[0, 1, :4] = weights[1, 2, :7] = 1.0
    found = _embed(embedding, torch.tensor([[[1.0, 1.0]], [[2.0, 2.0]]]), weights)
    assert embedding.heard == 2
    assert found[0, 1].tolist() == [1.0, 4.0]
    assert found[1, 2].tolist() == [2.0, 7.0]
    assert np.isnan(found).sum() == 8
