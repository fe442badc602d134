"""The speaker embedding: its filter banks, its weights, and how it shares a chunk out."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyannote.audio import Model
from torchaudio.compliance import kaldi

from asr_diarization.audio.decode import decode_audio
from asr_diarization.diarization import campplus
from asr_diarization.diarization.campplus import CAMPPlus, Rectify
from asr_diarization.diarization.campplus_packing import FRAMES, GAP, STEP, pack_speakers
from asr_diarization.diarization.fbank import FilterBanks
from asr_diarization.local_models.campplus_weights import _affine, _fold_before, _rectify

CHECKPOINT = Path("embedding", "pytorch_model.bin")

SPEAKS = slice(8 * 16000, 11 * 16000)
"""Three seconds of pyannote's `sample.wav`."""
EXPECTED = [-0.494854, -0.409015, -0.309506, -0.317218, 0.213966, -0.079019]
"""How the vector of that begins, by the network before any batch norm was folded."""


@pytest.fixture(scope="module")
def waveform(phone_call):
    return torch.from_numpy(decode_audio(phone_call.read_bytes(), max_seconds=60.0))


@pytest.fixture(scope="module")
def model(models_dir):
    path = models_dir / "diarization" / "embedding" / "pytorch_model.bin"
    return Model.from_pretrained(str(path)).eval()


@pytest.fixture(scope="module")
def chunks(waveform):
    return torch.stack((waveform[:160000], waveform[200000:360000]))[:, None]


@pytest.mark.parametrize("samples", [400, 559, 560, 16000, 160000])
def test_filter_banks_are_those_of_kaldi(waveform, samples) -> None:

    given = waveform[None, 100000 : 100000 + samples]
    found = FilterBanks()(given)
    expected = kaldi.fbank(given * 32768, num_mel_bins=80, window_type="povey", dither=0.0)
    assert found.shape == (1, 1 + (samples - 400) // 160, 80)
    assert (found[0] - expected).abs().max() < 1e-3


def test_filter_banks_of_a_batch_and_of_silence() -> None:
    given = torch.stack((torch.zeros(16000), torch.randn(16000) / 10))
    found = FilterBanks()(given)
    assert found.isfinite().all()
    assert torch.allclose(found[1:], FilterBanks()(given[1:]), atol=1e-4)


def test_every_weight_of_the_checkpoint_is_used(models_dir) -> None:
    path = models_dir / "diarization" / "embedding" / "pytorch_model.bin"
    state = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
    expected = {name: tensor.shape for name, tensor in CAMPPlus().state_dict().items()}
    assert {name: tensor.shape for name, tensor in state.items()} == expected
    assert state["trunk.blocks.1.layers.0.narrow.weight"].shape == (128, 256, 1)
    assert state["dense.weight"].shape == (192, 1024)


def test_the_vector_is_that_of_the_original_network(model, waveform) -> None:
    with torch.inference_mode():
        vector = model(waveform[None, None, SPEAKS])[0]
    assert vector[: len(EXPECTED)].tolist() == pytest.approx(EXPECTED, abs=1e-3)
    assert vector.norm().item() == pytest.approx(6.5221, abs=1e-2)


def test_speakers_of_a_chunk_are_as_if_asked_for_one_by_one(model, chunks) -> None:
    weights = (torch.rand(2, 3, 589, generator=torch.Generator().manual_seed(0)) > 0.6).float()
    with torch.inference_mode():
        together = model(chunks, weights=weights)
        apart = torch.stack([model(chunks, weights=weights[:, one]) for one in range(3)], dim=1)
    assert together.shape == (2, 3, 192)
    assert torch.equal(together, apart)


@pytest.mark.parametrize("one", [True, False])
def test_packed_speakers_are_as_if_apart(models_dir, model, chunks, one, monkeypatch) -> None:
    quick = Model.from_pretrained(str(models_dir / "diarization" / CHECKPOINT)).eval()
    quick.optimize(torch.float32)
    batches = campplus._batches
    monkeypatch.setattr(campplus, "_batches", lambda packs, **_: batches(packs, one_by_one=one))
    shares = torch.tensor([[0.9, 0.55, 0.3], [0.02, 0.0, 1.0]])
    noise = torch.rand(2, 3, 99, generator=torch.Generator().manual_seed(0))
    weights = (noise < shares[..., None]).float()
    with torch.inference_mode():
        found, expected = quick(chunks, weights=weights), model(chunks, weights=weights)
    assert found[1, 1].isnan().all()
    assert torch.allclose(found, expected, atol=1e-4, equal_nan=True)


@given(lengths=st.lists(st.integers(4, 1000), max_size=40))
def test_packs_hold_everybody_with_gaps_between(lengths) -> None:
    packs = pack_speakers(lengths)
    assert sorted(who for pack in packs for who, _, _ in pack.spans) == list(range(len(lengths)))
    for pack in packs:
        assert pack.frames <= FRAMES
        assert pack.frames % STEP == 0
        end = -GAP
        for who, first, length in pack.spans:
            assert length == lengths[who]
            assert first % 2 == 0
            assert first >= end + GAP
            end = first + length
        assert end <= pack.frames


def test_no_weights_mean_everything(model, chunks) -> None:
    with torch.inference_mode():
        assert torch.equal(model(chunks), model(chunks, weights=torch.ones(2, 589)))


def test_what_others_say_does_not_matter(model, chunks) -> None:
    weights = torch.zeros(1, 589)
    weights[:, :200] = 1.0
    changed = chunks[:1].clone()
    changed[..., 70000:] = torch.randn(1, 1, 90000) / 10
    with torch.inference_mode():
        before, after = (model(given, weights=weights) for given in (chunks[:1], changed))
    assert torch.equal(before, after)


def test_who_says_nothing_has_no_vector(model, chunks) -> None:
    weights = torch.zeros(2, 2, 589)
    weights[0, 1] = 1.0
    with torch.inference_mode():
        found = model(chunks, weights=weights)
    assert found.isnan().all(dim=-1).tolist() == [[True, False], [True, True]]


def test_a_waveform_too_short_is_refused(model) -> None:
    with pytest.raises(ValueError, match="879 samples are too few"):
        model(torch.zeros(1, 1, 879))
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 880)).shape == (1, 192)


def test_one_voice_is_nearer_to_itself_than_to_another(model, waveform) -> None:
    # By sample.rttm, in seconds: the same person twice, then the other one.
    spans = ((11.1, 14.3), (18.7, 21.4), (22.0, 27.5))
    with torch.inference_mode():
        one, again, other = (
            model(waveform[None, None, round(start * 16000) : round(end * 16000)])[0]
            for start, end in spans
        )
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(one, again, dim=0) > cosine(one, other, dim=0) + 0.2


def test_bfloat16_hears_the_same_voices(models_dir, model, chunks) -> None:
    path = models_dir / "diarization" / "embedding" / "pytorch_model.bin"
    half = Model.from_pretrained(str(path)).eval()
    half.optimize(torch.bfloat16)
    with torch.inference_mode():
        found, expected = half(chunks), model(chunks)
    assert found.dtype == torch.float32
    assert (torch.nn.functional.cosine_similarity(found, expected) > 0.99).all()


def test_rectify_is_what_a_batch_norm_and_relu_were() -> None:
    generator = torch.Generator().manual_seed(0)
    norm, linear = torch.nn.BatchNorm1d(4).eval(), torch.nn.Conv1d(4, 3, 1, bias=False)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
        tensor.copy_(torch.randn(4, generator=generator))
    norm.weight.data[1] = -0.3
    x = torch.randn(2, 4, 50, generator=generator)
    with torch.inference_mode():
        expected = linear(norm(x).relu())
        scale, shift = _affine({f"n.{name}": t for name, t in norm.state_dict().items()}, "n")
        weight, bias = _fold_before(linear.weight, scale, shift)
        rectify = Rectify(4)
        rectify.load_state_dict(
            {k.removeprefix("a.rectify."): t for k, t in _rectify(scale, shift, "a")}
        )
        bounded = rectify(x.transpose(1, 2)).transpose(1, 2)
        found = torch.nn.functional.conv1d(bounded, weight, bias)
    assert torch.allclose(found, expected, atol=1e-5)
