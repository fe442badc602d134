"""transformers' assisted generation beside its greedy one and ours: do the words stay the same?

The assistant is a copy of the model without its upper decoder layers. It has its own encoder, its
drafts are often wrong, and it must not change the text.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import torch

from asr_diarization.audio.decode import SAMPLE_RATE
from asr_diarization.whisper.checkpoint import Parts, build_checkpoint
from asr_diarization.whisper.decoding import BatchDecoder
from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.precision import FLOAT32
from asr_diarization.whisper.speculative import AssistantDrafter
from benchmarks.recordings import Recording
from benchmarks.reports.tables import table

SECONDS = 12
KEPT_LAYERS = 3
MAX_NEW_TOKENS = 128


def pruned(model: Any, layers: int = KEPT_LAYERS) -> Any:
    """A copy of transformers' Whisper with only the first decoder layers."""
    copied = copy.deepcopy(model)
    copied.model.decoder.layers = copied.model.decoder.layers[:layers]
    copied.config.decoder_layers = layers
    return copied


@torch.inference_mode()
def stock_table(name: str, recording: Recording) -> str:
    """Words and CPU seconds of the first part of a recording, decoded in four ways in float32."""
    from transformers import GenerationConfig, WhisperForConditionalGeneration, WhisperProcessor
    from transformers.utils import logging

    logging.set_verbosity_error()
    model = WhisperForConditionalGeneration.from_pretrained(name).eval()
    processor = WhisperProcessor.from_pretrained(name)
    generation = GenerationConfig.from_pretrained(name)
    assistant = pruned(model)
    waveform = recording.waveform()[: SECONDS * SAMPLE_RATE]
    features = processor.feature_extractor(
        waveform, sampling_rate=SAMPLE_RATE, return_tensors="pt"
    ).input_features

    def theirs(**options: Any) -> str:
        ids = model.generate(
            features,
            return_timestamps=True,
            language="en",
            task="transcribe",
            num_beams=1,
            do_sample=False,
            max_new_tokens=MAX_NEW_TOKENS,
            **options,
        )
        text: str = processor.batch_decode(ids, skip_special_tokens=True)[0]
        return text

    cpu, others = torch.device("cpu"), (processor.tokenizer, processor.feature_extractor)
    ours, helper = (
        build_checkpoint(
            name, Parts(one.config, generation, *others, one.state_dict()), cpu, FLOAT32
        )
        for name, one in (("model", model), ("assistant", assistant))
    )

    def mine(*, assisted: bool) -> str:
        encoded = ours.encoder(features)
        cache = ours.decoder.new_cache(encoded)
        drafter = AssistantDrafter(
            helper.decoder,
            lambda windows: helper.decoder.new_cache(encoded[list(windows)]),
            DraftPolicy(),
        )
        decoder = BatchDecoder(ours.decoder, ours.vocabulary)
        prefix = ours.vocabulary.prefix("en", "transcribe")
        (found,) = decoder.decode(cache, [prefix], drafter=drafter if assisted else None)
        return ours.vocabulary.text(found.tokens)

    ways = {
        "transformers, greedy": theirs,
        "transformers, assisted": lambda: theirs(assistant_model=assistant),
        "ours, greedy": lambda: mine(assisted=False),
        "ours, assisted": lambda: mine(assisted=True),
    }
    rows, plain = [], ""
    for title, way in ways.items():
        began = time.process_time()
        text = way().strip()
        seconds = time.process_time() - began
        plain = plain or text
        same = "yes" if text.split() == plain.split() else "no"
        rows.append([title, f"{len(text.split())}", same, f"{seconds:.1f}", text[:40]])
    intro = (
        f"The first {SECONDS} s of {recording.name}, float32, timestamps on; the assistant is the "
        f"model with {KEPT_LAYERS} of its decoder layers."
    )
    header = ["", "words", "same as transformers' greedy", "CPU s, encoder included", "begins"]
    return f"{intro}\n\n{table(header, rows)}"
