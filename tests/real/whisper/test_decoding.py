"""The decoding loop against transformers' `generate`: in float32, token for token."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from transformers import LogitsProcessorList
from transformers.generation.logits_process import (
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)
from transformers.modeling_outputs import BaseModelOutput

from asr_diarization.whisper import precision
from asr_diarization.whisper.checkpoint import build_checkpoint, load_whisper
from asr_diarization.whisper.cuda_graphs import LENGTH_STEP
from asr_diarization.whisper.decoding import BatchDecoder
from asr_diarization.whisper.precision import FLOAT32, make_linear
from tests.support.oracle import CPU, cut, random_checkpoint

# Full windows, a short one, several languages, overlapping and distant voices, next to no speech.
WINDOWS = (
    ("dialogues/d1_1min_2spk.flac", 0, 30),
    ("dialogues/d1_1min_2spk.flac", 30, 58),
    ("formats/sample1.flac", 0, 30),
    ("multilingual/13697_11991_000000.opus", 0, 30),
    ("multilingual/common_voice_ja_24511055.mp3", 0, 30),
    ("ami/ami_ES2003a_0-30s.flac", 0, 30),
    ("ami/ami_EN2001d_0-30s.flac", 18, 24),
)
LANGUAGES = ("en", "en", "en", "es", "ja", "en", "en")


@pytest.fixture(scope="module")
def waveforms(data_dir):
    return [cut(data_dir / name, start, end) for name, start, end in WINDOWS]


@pytest.fixture(scope="module")
def encoded(base, waveforms):
    """All windows, encoded once for all tests."""
    return base.encoded(waveforms)


@pytest.fixture(scope="module")
def expected_of_base(base, encoded):
    prefixes = [base.ours.vocabulary.prefix(code, "transcribe") for code in LANGUAGES]
    return [base.expected(encoded[i : i + 1], prefix) for i, prefix in enumerate(prefixes)]


def test_the_encoder_is_that_of_transformers(base, waveforms, encoded):
    features = base.features([waveforms[2], waveforms[6]])
    with torch.inference_mode():
        expected = base.model.model.encoder(features).last_hidden_state
    assert (encoded[[2, 6]] - expected).abs().max() < 2e-3
    assert (encoded[[2, 6]] - expected).abs().mean() < 1e-5


@pytest.mark.parametrize("batch", [1, 4])
def test_tokens_of_whisper_base_are_those_of_transformers(base, encoded, expected_of_base, batch):
    """Different languages share a batch; rows end at different times."""
    prefixes = [base.ours.vocabulary.prefix(code, "transcribe") for code in LANGUAGES]
    found = []
    for i in range(0, len(encoded), batch):
        found += base.found(encoded[i : i + batch], prefixes[i : i + batch])
    assert [one.tokens for one in found] == expected_of_base
    assert not any(one.looped for one in found)


def test_captured_steps_say_the_same(base, encoded, expected_of_base):
    """Fixed shapes: rows that have finished go on as padding, the length grows in steps."""
    vocabulary, decoder = base.ours.vocabulary, base.ours.decoder
    prefixes = [vocabulary.prefix(code, "transcribe") for code in LANGUAGES[:4]]
    captured = BatchDecoder(decoder, vocabulary, capture=True)
    found = captured.decode(decoder.new_cache(encoded[:4]), prefixes)
    assert [one.tokens for one in found] == expected_of_base[:4]
    assert len({len(one.tokens) for one in found}) > 1
    assert max(len(one.tokens) for one in found) > LENGTH_STEP


def test_tokens_of_an_english_only_model_are_those_of_transformers(tiny, waveforms):
    encoded = tiny.encoded([waveforms[i] for i in (1, 2, 5, 6)])
    prefix = tiny.ours.vocabulary.prefix("en", "transcribe")
    expected = [tiny.expected(encoded[i : i + 1], prefix) for i in range(4)]
    together = tiny.found(encoded, [prefix] * 4)
    alone = [tiny.found(encoded[i : i + 1], [prefix])[0] for i in range(4)]
    assert [one.tokens for one in together] == [one.tokens for one in alone] == expected


def test_the_oracle_is_the_first_pass_of_whispers_own_generate(base, waveforms, expected_of_base):
    """`expected` leaves out the rest of Whisper's `generate`; here is all of it, on one window."""
    with torch.inference_mode():
        out = base.model.generate(
            base.features(waveforms[2:3]),
            return_timestamps=True,
            return_segments=True,
            num_beams=1,
            do_sample=False,
            language="en",
            task="transcribe",
        )
    result = out["segments"][0][0]["result"]
    ids = (result["sequences"] if isinstance(result, dict) else result).flatten().tolist()
    prefix = base.ours.vocabulary.prefix("en", "transcribe")
    if ids[: len(prefix)] == prefix:
        ids = ids[len(prefix) :]
    end = base.generation.eos_token_id
    assert tuple(ids[: ids.index(end)] if end in ids else ids) == expected_of_base[2]


def test_prompts_of_different_lengths_share_a_batch(base, encoded):
    vocabulary = base.ours.vocabulary
    prompts = ["", "Mr. Thornton, Helstone.", "A long story about a country road and a schoolroom."]
    prefixes = [
        vocabulary.prefix(code, "transcribe", vocabulary.encode_prompt(text, 223) if text else [])
        for code, text in zip(("en", "es", "ja"), prompts, strict=True)
    ]
    found = base.found(encoded[2:5], prefixes)
    expected = [base.expected(encoded[2 + i : 3 + i], p) for i, p in enumerate(prefixes)]
    assert [one.tokens for one in found] == expected


def test_log_probabilities_are_those_of_the_tokens(base, encoded):
    """Under the rules, with the end of the text counted; in one teacher-forced pass."""
    prefix = base.ours.vocabulary.prefix("en", "transcribe")
    (found,) = base.found(encoded[2:3], [prefix])
    tokens = [*found.tokens, base.generation.eos_token_id]
    assert len(found.log_probabilities) == len(tokens)
    rules = LogitsProcessorList(
        [
            SuppressTokensAtBeginLogitsProcessor(
                base.generation.begin_suppress_tokens, len(prefix)
            ),
            SuppressTokensLogitsProcessor(base.generation.suppress_tokens),
            WhisperTimeStampLogitsProcessor(base.generation, begin_index=len(prefix)),
        ]
    )
    ids = torch.tensor([[*prefix, *tokens]])
    with torch.inference_mode():
        states = BaseModelOutput(last_hidden_state=encoded[2:3])
        logits = base.model(encoder_outputs=states, decoder_input_ids=ids).logits
    for i, token in enumerate(tokens):
        place = len(prefix) + i
        scores = rules(ids[:, :place], logits[:, place - 1].clone())
        expected = scores.log_softmax(dim=-1)[0, token].item()
        assert found.log_probabilities[i] == pytest.approx(expected, abs=2e-3)


def test_languages_are_detected_as_transformers_detects_them(base, encoded):
    detections = base.decoder.detect(base.ours.decoder.new_cache(encoded))
    with torch.inference_mode():
        states = BaseModelOutput(last_hidden_state=encoded)
        ids = base.model.detect_language(encoder_outputs=states, generation_config=base.generation)
    names = {number: code for code, number in base.ours.vocabulary.languages.items()}
    for one, number in zip(detections, ids, strict=True):
        probabilities = one.language_probabilities
        assert max(probabilities, key=probabilities.__getitem__) == names[int(number)]
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-4)
        assert 0 <= one.no_speech_probability <= 1


def test_rows_come_back_in_order_whichever_ends_first(base, encoded, expected_of_base):
    order = [6, 4, 0, 2]
    prefixes = [base.ours.vocabulary.prefix(LANGUAGES[i], "transcribe") for i in order]
    found = base.found(encoded[order], prefixes)
    assert [one.tokens for one in found] == [expected_of_base[i] for i in order]


def test_a_full_cache_ends_a_row(base, encoded, expected_of_base):
    prefix = base.ours.vocabulary.prefix("en", "transcribe")
    (found,) = base.found(encoded[:1], [prefix], limit=20)
    assert found.tokens == expected_of_base[0][:20]


def test_samples_are_the_same_each_time(base, encoded):
    prefix = base.ours.vocabulary.prefix("en", "transcribe")
    sampled = [
        base.found(encoded[5:6], [prefix], limit=40, temperature=temperature)[0].tokens
        for temperature in (1.0, 1.0, 0.0)
    ]
    assert sampled[0] == sampled[1] != sampled[2]


# Shapes of checkpoints that are too large to test with: random weights, few and narrow layers.
SHAPES = {
    "large-v3": {"encoder_layers": 2, "decoder_layers": 3},
    "large-v3-turbo": {"encoder_layers": 3, "decoder_layers": 1},
    "distil-large-v3": {"encoder_layers": 3, "decoder_layers": 2, "max_target_positions": 448},
    "heads differ": {"encoder_attention_heads": 8, "decoder_attention_heads": 2},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_other_shapes_give_the_tokens_of_transformers(models_dir, waveforms, shape):
    both = random_checkpoint(models_dir, SHAPES[shape])
    encoded = both.encoded([*waveforms[:3], waveforms[6]])
    prefix = both.ours.vocabulary.prefix("en", "transcribe")
    assert prefix == [50258, 50259, 50360]
    found = both.found(encoded, [prefix] * len(encoded), limit=48)
    with torch.inference_mode():
        theirs = both.model.model.encoder(both.features(waveforms[:1])).last_hidden_state
    assert (encoded[:1] - theirs).abs().max() < 1e-3
    different = set()
    for i, one in enumerate(found):
        expected = both.expected(encoded[i : i + 1], prefix, limit=48)
        assert one.tokens == expected[: len(one.tokens)]
        assert one.looped or len(one.tokens) == len(expected)
        different.update(one.tokens)
    assert len(different) > 10


@pytest.mark.parametrize("setting", ["bfloat16", "int8"])
def test_fewer_bits_keep_the_words(models_dir, waveforms, setting):
    checkpoint = load_whisper(str(models_dir / "whisper-base"), CPU, setting)
    decoder = BatchDecoder(checkpoint.decoder, checkpoint.vocabulary)
    cache = checkpoint.decoder.new_cache(checkpoint.encode(waveforms[2:3]))
    (found,) = decoder.decode(cache, [checkpoint.vocabulary.prefix("en", "transcribe")])
    text = checkpoint.vocabulary.text(found.tokens).lower()
    for words in ("slushy country roads", "sunday morning", "come to us immediately"):
        assert words in text


def test_heads_that_a_distilled_decoder_does_not_have_are_left_out(base):
    generation = copy.deepcopy(base.generation)
    layers = base.ours.size.decoder_layers
    for named, used in (([[1, 0], [layers, 0]], ((1, 0),)), ([[layers, 0]], None)):
        generation.alignment_heads = named
        found = build_checkpoint("x", replace(base.parts, generation=generation), CPU, FLOAT32)
        assert all(layer < layers for layer, _ in found.alignment_heads)
        assert found.alignment_heads == (used or found.alignment_heads) != ()


def test_in_int8_a_row_does_not_hang_on_the_rows_beside_it(models_dir, waveforms):
    checkpoint = load_whisper(str(models_dir / "whisper-base"), CPU, "int8")
    decoder, vocabulary = checkpoint.decoder, checkpoint.vocabulary
    encoded = checkpoint.encode(waveforms)
    prefixes = [vocabulary.prefix(code, "transcribe") for code in LANGUAGES]
    together = BatchDecoder(decoder, vocabulary).decode(decoder.new_cache(encoded), prefixes)
    for row, prefix in enumerate(prefixes):
        cache = decoder.new_cache(encoded[row : row + 1])
        (alone,) = BatchDecoder(decoder, vocabulary).decode(cache, [prefix])
        assert alone.tokens == together[row].tokens


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_what_is_heard_does_not_hang_on_the_windows_beside_it(models_dir, waveforms, temperature):
    """Each is encoded at its own length, and draws for itself."""
    checkpoint = load_whisper(str(models_dir / "whisper-base"), CPU, "float32")
    vocabulary, decode = (
        checkpoint.vocabulary,
        BatchDecoder(checkpoint.decoder, checkpoint.vocabulary),
    )
    encoded = checkpoint.encode(waveforms[2:7])
    assert len({len(one) for one in encoded}) > 1
    prefixes = [vocabulary.prefix(code, "transcribe") for code in LANGUAGES[2:7]]
    new_cache = checkpoint.decoder.new_cache
    together = decode.decode(new_cache(encoded), prefixes, temperature)
    for one, prefix, expected in zip(encoded, prefixes, together, strict=True):
        (alone,) = decode.decode(new_cache([one]), [prefix], temperature)
        assert alone.tokens == expected.tokens


@pytest.mark.parametrize(("largest", "zero", "allowed"), [(127, 128, 0.03), (63, 64, 0.05)])
def test_an_int8_product_takes_each_vector_by_itself(monkeypatch, largest, zero, allowed):
    monkeypatch.setattr(
        precision, "MAX_ACTIVATION", largest
    )  # half a byte: for processors without VNNI
    monkeypatch.setattr(precision, "ZERO_POINT", zero)
    torch.manual_seed(0)
    weight, bias = torch.randn(64, 32), torch.randn(64)
    x = torch.randn(5, 3, 32)
    x[0] *= 1000  # would leave nothing of the others, had they one scale
    x[1, 1] = 0
    found = make_linear(weight, bias, dtype=torch.float32, int8=True)(x)
    expected = torch.nn.functional.linear(x, weight, bias)
    assert found.shape == expected.shape
    assert (found[1, 1] == bias).all()
    error = (found - expected).norm(dim=-1) / expected.norm(dim=-1)
    assert error.max() < allowed
    alone = make_linear(weight, bias, dtype=torch.float32, int8=True)(x[3:4, 2:3])
    assert torch.equal(alone, found[3:4, 2:3])
