"""Speculative decoding against transformers' greedy `generate`: in float32, token for token."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.audio.windows import Stretch, Window
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import ModelLoadError
from asr_diarization.whisper.caches import MAX_DRAFT
from asr_diarization.whisper.checkpoint import build_checkpoint, load_whisper
from asr_diarization.whisper.draft_policy import (
    PROBE_BACKOFF,
    PROBE_DRAFT,
    PROBE_STEPS,
    DraftPolicy,
)
from asr_diarization.whisper.model import Encoder
from asr_diarization.whisper.precision import FLOAT32
from asr_diarization.whisper.speculative import (
    AssistantDrafter,
    cache_factory,
    check_assistant,
    share_encoder,
)
from asr_diarization.whisper.transcriber import WhisperTranscriber
from benchmarks.systems.scripted import ScriptedDrafter
from tests.support.oracle import CPU, Both, cut, load, random_checkpoint

# Short ones, so that rows are many; they end at different times and speak three languages.
PIECES = (
    ("dialogues/d1_1min_2spk.flac", 0, 7, "en"),
    ("multilingual/13697_11991_000000.opus", 0, 6, "es"),
    ("multilingual/common_voice_ja_24511055.mp3", 0, 6, "ja"),
    ("formats/sample1.flac", 0, 9, "en"),
    ("ami/ami_EN2001d_0-30s.flac", 18, 24, "en"),
    ("dialogues/d1_1min_2spk.flac", 30, 33, "en"),
    ("formats/sample1.flac", 9, 12, "en"),
    ("ami/ami_ES2003a_0-30s.flac", 0, 8, "en"),
)
ENGLISH = [i for i, piece in enumerate(PIECES) if piece[3] == "en"]
LENGTHS = range(1, MAX_DRAFT + 1)


class Fixed(DraftPolicy):
    """Always guesses as many tokens, and remembers each step."""

    def __init__(self, length):
        super().__init__()
        self._fixed = length
        self.lengths = []

    def length(self):
        self.lengths.append(self._fixed)
        return self._fixed


class Sticky:
    """Always guesses these tokens, right or not; what models do not do, tests must."""

    def __init__(self, *tokens):
        self._tokens = torch.tensor([tokens])

    def draft(self, rows):
        return self._tokens.repeat(len(rows), 1)

    def update(self, rows, accepted, verified):
        pass

    def remove(self, row):
        pass


class Scene:
    """Encoded pieces, the prefixes they get, and what must come out."""

    def __init__(self, both: Both, encoded, prefixes, limit=None):
        self.both, self.encoded, self.prefixes, self.limit = both, encoded, prefixes, limit
        self.expected = [
            both.expected(encoded[i][None], prefix, limit) for i, prefix in enumerate(prefixes)
        ]

    @property
    def end(self):
        return self.both.ours.vocabulary.end

    def select(self, pieces):
        part = copy.copy(self)
        part.encoded = [self.encoded[i] for i in pieces]
        part.prefixes = [self.prefixes[i] for i in pieces]
        part.expected = [self.expected[i] for i in pieces]
        return part

    def scripted(self, probability, policy, seed=0):
        return ScriptedDrafter(self.expected, self.end, probability, policy, seed)

    def found(self, drafter):
        """What is decoded with a drafter."""
        return self.both.found(self.encoded, self.prefixes, self.limit, drafter=drafter)

    def tokens(self, drafter):
        return [one.tokens for one in self.found(drafter)]


def assisted_by(scene, checkpoint, policy, encoded=None):
    encoded = scene.encoded if encoded is None else encoded
    make_cache = cache_factory(checkpoint, encoded, waveforms=())
    return AssistantDrafter(checkpoint.decoder, make_cache, policy)


def pruned(both, layers, encoder_noise=0.0):
    """The checkpoint with its first decoder layers only; optionally with another encoder."""
    model = copy.deepcopy(both.model)
    model.model.decoder.layers = model.model.decoder.layers[:layers]
    model.config.decoder_layers = layers
    with torch.no_grad():
        model.model.encoder.layer_norm.weight += encoder_noise
    parts = replace(both.parts, config=model.config, weights=model.state_dict())
    return build_checkpoint("pruned", parts, CPU, FLOAT32)


@pytest.fixture(scope="module")
def waveforms(data_dir):
    return [cut(data_dir / name, start, end) for name, start, end, _ in PIECES]


@pytest.fixture(scope="module")
def scene(base, waveforms):
    """All pieces, each in its language."""
    prefixes = [base.ours.vocabulary.prefix(piece[3], "transcribe") for piece in PIECES]
    with torch.inference_mode():
        return Scene(base, base.ours.encode(waveforms), prefixes)


@pytest.fixture(scope="module")
def small(models_dir, waveforms):
    """Random weights in large-v3's vocabulary and mels: fast enough for every combination."""
    both = random_checkpoint(models_dir, {"decoder_layers": 3})
    prefixes = [both.ours.vocabulary.prefix(piece[3], "transcribe") for piece in PIECES]
    with torch.inference_mode():
        return Scene(both, both.ours.encode(waveforms), prefixes, limit=24)


def test_what_is_expected_ends_at_different_times(scene):
    lengths = [len(tokens) for tokens in scene.expected]
    assert len(set(lengths)) > 4
    assert min(lengths) < 15 < 25 < max(lengths)


# (a) The model as its own assistant.


@pytest.mark.parametrize("length", [1, 4, 8])
def test_a_model_accepts_all_its_own_guesses(scene, length):
    part = scene.select([0, 2, 4, 6])
    policy = Fixed(length)
    assert part.tokens(assisted_by(part, scene.both.ours, policy)) == part.expected
    assert policy.accepted == policy.drafted > 0
    # Each step says its guesses and one more token; the last token is the end.
    steps = [-(-(len(tokens) + 1) // (length + 1)) for tokens in part.expected]
    assert policy.steps == max(steps)
    assert policy.row_steps == sum(steps)


def test_an_english_only_model_guesses_for_itself(tiny, waveforms):
    prefix = tiny.ours.vocabulary.prefix("en", "transcribe")
    with torch.inference_mode():
        encoded = tiny.ours.encode([waveforms[i] for i in ENGLISH])
    english = Scene(tiny, encoded, [prefix] * len(ENGLISH))
    for length in (3, 8):
        policy = Fixed(length)
        assert english.tokens(assisted_by(english, tiny.ours, policy)) == english.expected
        assert policy.accepted == policy.drafted


# (b) An assistant that knows little.


@pytest.mark.parametrize(("batch", "length"), [(1, 2), (4, 5)])
def test_bad_guesses_change_nothing(scene, batch, length):
    assistant = pruned(scene.both, 3)
    part = scene.select(list(range(batch)))
    policy = Fixed(length)
    assert part.tokens(assisted_by(part, assistant, policy)) == part.expected
    assert policy.accepted < 0.5 * policy.drafted


def test_guesses_come_and_go(scene):
    """The assistant catches up with what it did not guess."""

    class Now(Fixed):
        def length(self):
            return (0, 3, 0, 0, 8, 1, 0, 0, 0, 2)[self.steps % 10]

    for assistant in (scene.both.ours, pruned(scene.both, 5)):
        policy = Now(0)
        assert scene.tokens(assisted_by(scene, assistant, policy)) == scene.expected
        if assistant is scene.both.ours:
            assert policy.accepted == policy.drafted


# (c) Guesses that are right as often as told.


@pytest.mark.parametrize("length", LENGTHS)
def test_some_right_guesses_change_nothing(scene, length):
    batch = (1, 2, 4, 8)[length % 4]
    part = scene.select(list(range(8 - batch, 8)))
    policy = Fixed(length)
    assert part.tokens(part.scripted(0.7, policy, seed=length)) == part.expected
    assert 0 < policy.accepted < policy.drafted


def same_or_looped(found, expected):
    """A row that repeats itself is ended where the loop is noticed; up to there it is the same."""
    return all(
        one.tokens == tokens or (one.looped and one.tokens == tokens[: len(one.tokens)])
        for one, tokens in zip(found, expected, strict=True)
    )


@pytest.fixture(scope="module")
def plain(small):
    """What `small` says without guesses."""
    found = small.found(None)
    assert same_or_looped(found, small.expected)
    return found


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_in_every_batch(small, plain, batch, length):
    for first in range(0, 8, batch) if length in (1, 8) else (0,):
        part = small.select(list(range(first, first + batch)))
        policy = Fixed(length)
        found = part.found(part.scripted(0.6, policy, seed=batch))
        assert [one.tokens for one in found] == [o.tokens for o in plain[first : first + batch]]
        assert policy.steps


def test_a_loop_is_cut_at_the_same_place_however_many_tokens_a_step_says(base, data_dir):
    path = data_dir / "ami/ami_EN2001d_0-30s.flac"  # half a minute of next to nothing
    encoded = base.encoded([decode_audio(path.read_bytes(), max_seconds=60.0)])
    prefixes = [base.ours.vocabulary.prefix("en", "transcribe")]
    (plain,) = base.found(encoded, prefixes)
    assert plain.looped
    for length in (1, 3, 8):
        policy = Fixed(length)
        guesses = ScriptedDrafter([plain.tokens], base.ours.vocabulary.end, 1.0, policy, 0)
        (found,) = base.found(encoded, prefixes, drafter=guesses)
        assert (found.tokens, found.looped) == (plain.tokens, True)
        assert policy.accepted > 0


def test_log_probabilities_do_not_depend_on_guesses(scene):
    """The rules of each verified position follow from the guesses before it."""
    plain = scene.found(None)
    for one, other in zip(scene.found(scene.scripted(0.8, Fixed(5))), plain, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=2e-3)


def test_the_policy_of_a_request_changes_nothing(scene):
    for probability in (0.0, 0.9):
        policy = DraftPolicy()
        assert scene.tokens(scene.scripted(probability, policy)) == scene.expected
        assert policy.stats()["accepted"] <= policy.stats()["drafted"]


# Traps: nonsense guesses, ends, prefixes, room, ties.


def test_guesses_against_the_rules_are_refused(scene):
    vocabulary = scene.both.ours.vocabulary
    first, end = vocabulary.first_timestamp, vocabulary.end
    part = scene.select([2, 6])
    for tokens in (
        (end,) * 8,  # the end, all the time
        (first, first, first),  # times that go back
        (first + 1500, end, end, end),  # beyond the first timestamp's limit, then the end
        (vocabulary.start, vocabulary.no_timestamps, vocabulary.previous),  # never said
        (220, end),  # what other decoders suppress at the beginning
    ):
        assert part.tokens(Sticky(*tokens)) == part.expected


def test_an_end_in_the_middle_of_guesses_ends_the_row(scene):
    """Right up to the end, then nonsense behind it."""

    class Behind(ScriptedDrafter):
        def _guess(self, rows, row, count):
            guess = super()._guess(rows, row, count)
            at = guess.index(self._end) + 1 if self._end in guess else count
            return [*guess[:at], *range(at, count)]

    for length in (3, 8):
        policy = Fixed(length)
        drafter = Behind(scene.expected, scene.end, 1.0, policy)
        found = scene.found(drafter)
        assert [one.tokens for one in found] == scene.expected
        assert all(len(one.log_probabilities) == len(one.tokens) + 1 for one in found)


def test_prompts_of_different_lengths_share_a_batch(base, scene):
    vocabulary = base.ours.vocabulary
    prompts = ["", "Mr. Thornton, Helstone.", "A long story about a country road and a schoolroom."]
    prefixes = [
        vocabulary.prefix(code, "transcribe", vocabulary.encode_prompt(text, 223) if text else [])
        for code, text in zip(("en", "es", "ja"), prompts, strict=True)
    ]
    prompted = Scene(base, [scene.encoded[i] for i in (3, 1, 2)], prefixes)
    for drafter in (
        prompted.scripted(0.7, Fixed(4)),
        assisted_by(prompted, pruned(base, 4), Fixed(3)),
    ):
        assert prompted.tokens(drafter) == prompted.expected


@pytest.mark.parametrize("limit", [1, 2, 7, 12])
def test_a_full_cache_ends_a_row(base, scene, limit):
    part = copy.copy(scene.select([0, 3, 7]))
    part.limit = limit
    expected = [tokens[:limit] for tokens in part.expected]
    drafters = [part.scripted(p, Fixed(length)) for p in (1.0, 0.6) for length in (1, 8)]
    drafters.append(assisted_by(part, base.ours, Fixed(8)))
    for drafter in drafters:
        assert part.tokens(drafter) == expected


def test_a_full_cache_ends_rows_of_different_prefixes_at_the_same_place(base, scene):
    vocabulary = base.ours.vocabulary
    short = vocabulary.prefix("en", "transcribe")
    long = vocabulary.prefix("en", "transcribe", vocabulary.encode_prompt("Helstone.", 223))
    part = Scene(base, [scene.encoded[i] for i in (0, 3)], [short, long])
    part.limit = 6
    room = [6 + len(long) - len(short), 6]
    expected = [tokens[:n] for tokens, n in zip(part.expected, room, strict=True)]
    for drafter in (None, part.scripted(0.8, Fixed(4)), assisted_by(part, base.ours, Fixed(8))):
        assert part.tokens(drafter) == expected


def test_ties_go_to_the_first_token(small, models_dir):
    """Each token said has a twin with the same embedding, of a lower or a higher id."""
    both = random_checkpoint(models_dir, {"decoder_layers": 3})
    said = {t for tokens in small.expected for t in tokens if t < small.end}
    free = [
        t for t in range(300, 2000) if t not in said and t not in both.ours.vocabulary.suppressed
    ]
    with torch.no_grad():
        for token, twin in zip(sorted(said), free, strict=False):
            both.model.model.decoder.embed_tokens.weight[twin] = (
                both.model.model.decoder.embed_tokens.weight[token]
            )
    both = Both.of(both.model, both)
    tied = Scene(both, small.encoded[:4], small.prefixes[:4], limit=20)
    assert tied.expected != small.expected[:4]
    for length in (1, 4, 8):
        for drafter in (
            tied.scripted(0.7, Fixed(length)),
            assisted_by(tied, both.ours, Fixed(length)),
        ):
            assert same_or_looped(tied.found(drafter), tied.expected)


# (e) Which encoder: the weights say.


def test_a_distilled_model_reads_what_the_model_encodes(models_dir, waveforms):
    shape = {"encoder_layers": 2}
    large = random_checkpoint(models_dir, {**shape, "decoder_layers": 3})
    distil = random_checkpoint(models_dir, {**shape, "decoder_layers": 2})
    for part in ("encoder", "decoder.layers.0", "decoder.embed_tokens"):
        weights = large.model.model.get_submodule(part).state_dict()
        distil.model.model.get_submodule(part).load_state_dict(weights)
    distil = Both.of(distil.model, distil)
    check_assistant(large.ours, distil.ours)
    shared = share_encoder(large.ours, distil.ours)
    assert shared.encoder is large.ours.encoder
    assert shared.decoder is distil.ours.decoder
    prefix = large.ours.vocabulary.prefix("en", "transcribe")
    with torch.inference_mode():
        scene = Scene(large, large.ours.encode(waveforms[:4]), [prefix] * 4, limit=24)
    for length in (2, 6):
        found = scene.found(assisted_by(scene, shared, Fixed(length)))
        assert same_or_looped(found, scene.expected)


def test_another_model_has_its_own_encoder(models_dir, waveforms):
    large = random_checkpoint(models_dir, {"decoder_layers": 3})
    other = random_checkpoint(models_dir, {"encoder_layers": 1, "d_model": 32})
    check_assistant(large.ours, other.ours)
    alone = share_encoder(large.ours, other.ours)
    assert alone is other.ours
    prefix = large.ours.vocabulary.prefix("en", "transcribe")
    with torch.inference_mode():
        scene = Scene(large, large.ours.encode(waveforms[:4]), [prefix] * 4, limit=24)
        encoded = other.ours.encode(waveforms[:4])
    for length in (2, 6):
        found = scene.found(assisted_by(scene, alone, Fixed(length), encoded))
        assert same_or_looped(found, scene.expected)


def flat(transcription):
    """All segments and words of all windows."""
    segments = [segment for window in transcription.windows for segment in window]
    return [*segments, *(word for segment in segments for word in segment.words)]


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_transcriber_says_the_same_with_an_assistant(base, waveforms, noise):
    """The whole way, with a shared encoder and with another one; `stats` say what was done."""
    assistant = pruned(base, 5, encoder_noise=noise)
    shared = share_encoder(base.ours, assistant).encoder is base.ours.encoder
    assert shared == (noise == 0.0)
    transcriber = WhisperTranscriber(base.ours, assistant)
    windows = [
        Window(waveforms[i], (Stretch(0.0, len(waveforms[i]) / SAMPLE_RATE),)) for i in (0, 5, 6)
    ]
    plain, assisted = (
        transcriber.transcribe(
            windows, InferenceConfig(language="en", assisted=assisted, batch_size=2)
        )
        for assisted in (False, True)
    )
    for one, other in zip(flat(assisted), flat(plain), strict=True):
        assert one.text == other.text
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.021)
    stats = assisted.stats["speculative"]
    assert set(stats) == {"drafted", "accepted", "steps", "draft_length"}
    assert stats["steps"] > 0
    assert stats["accepted"] <= stats["drafted"]


def test_an_assistant_that_does_not_fit_is_refused_in_one_sentence(base, tiny, small):
    named = {
        "vocabulary": (replace(base.ours, name="A"), replace(tiny.ours, name="B")),
        "mel bins": (
            replace(base.ours, name="A"),
            replace(base.ours, name="B", size=replace(base.ours.size, mels=128)),
        ),
        "positions": (
            replace(base.ours, name="A"),
            replace(base.ours, name="B", size=replace(base.ours.size, max_positions=224)),
        ),
        "languages": (
            replace(base.ours, name="A"),
            replace(base.ours, name="B", vocabulary=tiny.ours.vocabulary),
        ),
        "special tokens": (
            replace(base.ours, name="A"),
            replace(base.ours, name="B", vocabulary=small.both.ours.vocabulary),
        ),
    }
    for what, (model, assistant) in named.items():
        with pytest.raises(ModelLoadError) as raised:
            WhisperTranscriber(model, assistant)
        message = str(raised.value)
        assert message.startswith(f"ASSISTANT_MODEL B does not fit ASR_MODEL A: {what} ")
        assert "\n" not in message


# (f) Where transformers' own assisted path loses words.


def test_a_phone_call_keeps_its_words(base, phone_call):
    """With timestamps and an independent assistant transformers' assisted `generate` did not."""
    waveform = decode_audio(phone_call.read_bytes(), max_seconds=100.0)[: 12 * SAMPLE_RATE]
    prefix = base.ours.vocabulary.prefix("en", "transcribe")
    with torch.inference_mode():
        call = Scene(base, base.ours.encode([waveform]), [prefix])
    policy = DraftPolicy()
    assert call.tokens(assisted_by(call, pruned(base, 3), policy)) == call.expected
    assert len(base.ours.vocabulary.text(call.expected[0]).split()) > 10


# What an assistant that is no use costs.


def test_an_assistant_that_has_given_up_hears_no_more_batches(models_dir, waveforms, monkeypatch):
    """One with an encoder of its own would have to encode everything a second time."""
    path = str(models_dir / "whisper-base")
    useless = pruned(load(models_dir / "whisper-base"), 1, encoder_noise=1.0)
    transcriber = WhisperTranscriber(load_whisper(path, CPU, "float32"), useless)
    plain = WhisperTranscriber(load_whisper(path, CPU, "float32"))
    windows = [Window(w, (Stretch(0.0, len(w) / SAMPLE_RATE),)) for w in waveforms * 3]
    encoded = []
    encode = Encoder.__call__

    def counting(encoder, mels):
        if encoder is useless.encoder:
            encoded.append(len(mels))
        return encode(encoder, mels)

    monkeypatch.setattr(Encoder, "__call__", counting)
    wishes = InferenceConfig(language="en", assisted=True, batch_size=4)
    found = transcriber.transcribe(windows, wishes)
    expected = plain.transcribe(windows, InferenceConfig(language="en", batch_size=4))
    assert [[s.text for s in w] for w in found.windows] == [
        [s.text for s in w] for w in expected.windows
    ]
    assert found.stats["speculative"]["drafted"] > 0
    assert 0 < sum(encoded) <= len(windows) / 2


# How many tokens to guess: arithmetic.


def simulate(policy, steps, acceptance, draft_cost, look_cost, rows=4):
    """Lengths of each step; a look at k + 1 positions costs 1 + k x `look_cost`."""
    lengths = []
    wrong = 0.0
    for _ in range(steps):
        k = policy.length()
        lengths.append(k)
        accepted = []
        for _ in range(rows):
            right = 0
            for _ in range(k):  # evenly spread, so that no luck is involved
                wrong += 1 - acceptance
                if wrong >= 1:
                    wrong -= 1
                    break
                right += 1
            accepted.append(right)
        policy.update(accepted, [k] * rows, k, k * draft_cost, 1 + k * look_cost)
    return lengths


def seconds_and_tokens(lengths, acceptance, draft_cost, look_cost):
    seconds = sum(1 + k * (draft_cost + look_cost) for k in lengths)
    tokens = sum(sum(acceptance**i for i in range(k + 1)) for k in lengths)
    return seconds, tokens


def test_free_right_guesses_are_made_to_the_limit():
    lengths = simulate(DraftPolicy(), 40, 1.0, 0.0, 0.05)
    assert lengths[8:] == [MAX_DRAFT] * 32


def test_wrong_guesses_are_given_up_and_tried_again_rarely():
    lengths = simulate(DraftPolicy(), 400, 0.0, 0.1, 0.2)
    later = lengths[8:]
    assert set(later) == {0, PROBE_DRAFT}
    tried = [step for step, length in enumerate(lengths) if step > 8 and length]
    assert tried == [PROBE_STEPS, PROBE_STEPS * (1 + PROBE_BACKOFF)]
    seconds, tokens = seconds_and_tokens(lengths, 0.0, 0.1, 0.2)
    assert seconds / tokens < 1.03


@pytest.mark.parametrize("acceptance", [0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize(("draft_cost", "look_cost"), [(0.0, 0.1), (0.1, 0.1), (0.3, 0.3)])
def test_costs_are_respected(acceptance, draft_cost, look_cost):
    """Nearly as many tokens per second as the best fixed length, found by trying all."""
    lengths = simulate(DraftPolicy(), 300, acceptance, draft_cost, look_cost)
    seconds, tokens = seconds_and_tokens(lengths, acceptance, draft_cost, look_cost)
    fixed = [
        seconds_and_tokens([k], acceptance, draft_cost, look_cost) for k in range(MAX_DRAFT + 1)
    ]
    assert tokens / seconds > 0.93 * max(t / s for s, t in fixed)
    assert tokens / seconds > 0.96  # what no guesses would give is 1


def test_dear_guesses_are_not_made_however_right():
    assert set(simulate(DraftPolicy(), 60, 1.0, 1.5, 0.3)[6:]) <= {0, PROBE_DRAFT}


def test_a_change_for_the_better_or_worse_is_noticed():
    policy = DraftPolicy()
    assert simulate(policy, 300, 1.0, 0.0, 0.3)[-1] == MAX_DRAFT
    assert simulate(policy, 60, 0.0, 0.0, 0.3)[-20:].count(0) >= 19
    assert simulate(policy, 300, 1.0, 0.0, 0.1)[-1] == MAX_DRAFT


def test_stats_add_up():
    policy = DraftPolicy()
    assert policy.stats() == {"drafted": 0, "accepted": 0, "steps": 0, "draft_length": 0.0}
    policy.update([3, 0], [3, 1], 3, 0.1, 0.2)
    policy.update([0], [0], 0, 0.0, 0.1)
    assert policy.stats() == {"drafted": 4, "accepted": 3, "steps": 2, "draft_length": 1.33}
