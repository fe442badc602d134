"""The oracle: a Whisper checkpoint in transformers and in this project, for the same input."""

from __future__ import annotations

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)
from transformers.generation import GenerationMixin
from transformers.generation.logits_process import (
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    WhisperTimeStampLogitsProcessor,
)
from transformers.modeling_outputs import BaseModelOutput

from asr_diarization.audio.decode import SAMPLE_RATE, decode_audio
from asr_diarization.whisper.checkpoint import Parts, build_checkpoint
from asr_diarization.whisper.decoding import BatchDecoder
from asr_diarization.whisper.precision import FLOAT32

CPU = torch.device("cpu")


class Both:
    """The same checkpoint in transformers and here."""

    def __init__(self, model, processor, generation) -> None:
        self.model = model.eval()
        self.model.generation_config = generation
        self.extractor, self.generation = processor.feature_extractor, generation
        self.processor = processor
        self.parts = Parts(
            model.config, generation, processor.tokenizer, self.extractor, model.state_dict()
        )
        self.ours = build_checkpoint("both", self.parts, CPU, FLOAT32)
        self.decoder = BatchDecoder(self.ours.decoder, self.ours.vocabulary)

    @classmethod
    def of(cls, model, other):
        """A changed model with the vocabulary and features of another one."""
        return cls(model, other.processor, other.generation)

    def features(self, waveforms):
        return self.extractor(waveforms, sampling_rate=SAMPLE_RATE, return_tensors="pt")[
            "input_features"
        ]

    def encoded(self, waveforms):
        return self.ours.encoder(self.features(waveforms))

    def expected(self, encoded, prefix, limit=None):
        """What transformers generates after `prefix`: one pass, greedy, with timestamps."""
        config = self.generation
        rules = LogitsProcessorList(
            [
                SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, len(prefix)),
                SuppressTokensLogitsProcessor(config.suppress_tokens),
                WhisperTimeStampLogitsProcessor(config, begin_index=len(prefix)),
            ]
        )
        plain = GenerationConfig(
            num_beams=1,
            do_sample=False,
            max_length=None if limit else self.model.config.max_target_positions,
            max_new_tokens=limit,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.eos_token_id,
            decoder_start_token_id=config.decoder_start_token_id,
        )
        with torch.inference_mode():
            ids = GenerationMixin.generate(
                self.model,
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
                generation_config=plain,
                decoder_input_ids=torch.tensor([prefix]),
                logits_processor=rules,
            )[0].tolist()
        tokens = ids[len(prefix) :]
        end = config.eos_token_id
        return tuple(tokens[: tokens.index(end)] if end in tokens else tokens)

    def found(self, encoded, prefixes, limit=None, **options):
        longest = max(map(len, prefixes))
        positions = longest + limit if limit else None
        cache = self.ours.decoder.new_cache(encoded, positions)
        return self.decoder.decode(cache, prefixes, **options)


def load(path) -> Both:
    return Both(
        WhisperForConditionalGeneration.from_pretrained(path),
        WhisperProcessor.from_pretrained(path),
        GenerationConfig.from_pretrained(path),
    )


def cut(path, start, end):
    """The waveform of a file between two whole seconds."""
    waveform = decode_audio(path.read_bytes(), max_seconds=100.0)
    return waveform[start * SAMPLE_RATE : end * SAMPLE_RATE]


def random_checkpoint(models_dir, changes) -> Both:
    """A Whisper of large-v3's vocabulary (one language more) and mels, with random weights."""
    processor = WhisperProcessor.from_pretrained(models_dir / "whisper-base")
    processor.feature_extractor = WhisperFeatureExtractor(feature_size=128)
    generation = GenerationConfig.from_pretrained(models_dir / "whisper-base")
    generation.lang_to_id = {**generation.lang_to_id, "<|yue|>": 50358}
    generation.task_to_id = {"translate": 50359, "transcribe": 50360}
    generation.no_timestamps_token_id, generation.prev_sot_token_id = 50364, 50362
    generation.alignment_heads = [[0, 0]]
    size = {
        "d_model": 64,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
    }
    torch.manual_seed(3)
    config = WhisperConfig(
        vocab_size=51866,
        num_mel_bins=128,
        decoder_ffn_dim=128,
        init_std=0.4,  # far apart, so that no two tokens are nearly equally likely
        **{"encoder_layers": 2, "decoder_layers": 2, **size, **changes},
    )
    return Both(WhisperForConditionalGeneration(config), processor, generation)
