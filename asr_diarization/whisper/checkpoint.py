"""Adapter: a Whisper checkpoint in transformers' format, from a directory or the hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.access import find_denial
from asr_diarization.whisper.features import LogMel, frames_of
from asr_diarization.whisper.model import Decoder, Dimensions, Encoder, Weights
from asr_diarization.whisper.precision import Precision, choose_precision
from asr_diarization.whisper.vocabulary import Vocabulary

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PREFIX = "model."
"""Of names in `WhisperForConditionalGeneration`; a bare `WhisperModel` was saved without it."""
SILENT_FRAMES = 400
"""Frames of 20 ms heard behind the end of speech where 30 s are too dear (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What transformers knows of a Whisper model."""

    config: Any
    generation: Any
    tokenizer: Any
    extractor: Any
    weights: Weights
    """By their names in transformers."""


@dataclass(frozen=True)
class Checkpoint:
    """A Whisper model, ready to compute."""

    name: str
    size: Dimensions
    encoder: Encoder
    decoder: Decoder
    vocabulary: Vocabulary
    features: LogMel
    alignment_heads: tuple[tuple[int, int], ...]
    """(layer, head) pairs whose attention follows the sound."""
    encoder_fingerprint: str
    """Equal for checkpoints with the same encoder weights."""

    def encode(self, waveforms: Sequence[Waveform]) -> list[Tensor]:
        """(frames, width) for each waveform of at most 30 s, with silence behind it.

        Whisper was trained on 30 s, and that is what an accelerator gets, all at once. On a CPU,
        where the encoder is most of the work and a batch saves nothing, each waveform is encoded by
        itself and eight seconds of silence must do.
        """
        most = self.size.max_frames
        if self.decoder.device.type != "cpu":
            return list(self.encoder(self.features(waveforms, most)))
        lengths = [min(most, frames_of(waveform) + SILENT_FRAMES) for waveform in waveforms]
        return [
            self.encoder(self.features([waveform], frames))[0]
            for waveform, frames in zip(waveforms, lengths, strict=True)
        ]


def load_whisper(
    source: str, device: torch.device, precision: str = "auto", token: str | None = None
) -> Checkpoint:
    """Load a Whisper checkpoint.

    Args:
        source: hub id or directory.
        device: where to compute.
        precision: see `precision.choose_precision`.
        token: for gated or private repositories.

    Raises:
        ModelLoadError: it is not there, not Whisper, or may not be read; the message says which.
    """
    from transformers import AutoConfig

    how = choose_precision(precision, device)
    try:
        config = AutoConfig.from_pretrained(source, token=token)
        if config.model_type != "whisper":
            raise ModelLoadError(
                f"{source} is a {config.model_type} model; ASR_MODEL and "
                "ASSISTANT_MODEL must be Whisper"
            )
        parts = Parts(
            config,
            _generation_config(source, config, token),
            _tokenizer(source, token),
            _extractor(source, config, token),
            load_weights(source, token),
        )
        return build_checkpoint(source, parts, device, how)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise ModelLoadError(_explain(source, error)) from error


def load_weights(source: str, token: str | None = None) -> dict[str, Tensor]:
    """Every tensor by its name in the whole model, in the type it is stored in, on the CPU.

    Importing transformers' Whisper and filling its modules takes longer than all else of a start,
    and only the tensors are needed. What is not stored as safetensors is left to transformers.

    Args:
        source: hub id or directory.
        token: for gated or private repositories.

    Raises:
        OSError: there is no such checkpoint, or it may not be read.
    """
    weights = _stored(source, token)
    is_bare = "encoder.conv1.weight" in weights
    return {PREFIX + name: t for name, t in weights.items()} if is_bare else weights


def _stored(source: str, token: str | None) -> dict[str, Tensor]:
    from transformers.utils import cached_file

    if single := _find(source, SINGLE, token):
        return dict(load_file(single))
    if index := _find(source, INDEX, token):
        shards = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        paths = [cached_file(source, shard, token=token) for shard in sorted(shards)]
        return {name: tensor for path in paths for name, tensor in load_file(path).items()}
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(
        source, token=token, torch_dtype=torch.float32
    )
    weights: dict[str, Tensor] = model.state_dict()
    return weights


def _find(source: str, name: str, token: str | None) -> str | None:
    from transformers.utils import cached_file

    try:
        path: str | None = cached_file(source, name, token=token)
    except OSError:
        return None  # another file may be there; the last attempt says what is wrong
    return path


def _generation_config(source: str, config: Any, token: str | None) -> Any:
    """The checkpoint's own; what its model config says of it where there is none."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(source, token=token)
    except OSError:
        return GenerationConfig.from_model_config(config)


def _tokenizer(source: str, token: str | None) -> Any:
    """The checkpoint's own; what transformers 5 writes, 4 reads from `tokenizer.json` alone."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.utils import cached_file

    try:
        return AutoTokenizer.from_pretrained(source, token=token)
    except (AttributeError, ValueError):  # a list where a dictionary was; a class of another name
        path = cached_file(source, "tokenizer.json", token=token)
        return PreTrainedTokenizerFast(tokenizer_file=path)


def _extractor(source: str, config: Any, token: str | None) -> Any:
    """The checkpoint's own; transformers 5 keeps it in a file that 4 does not know."""
    from transformers import WhisperFeatureExtractor

    try:
        return WhisperFeatureExtractor.from_pretrained(source, token=token)
    except OSError:
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins)


def build_checkpoint(name: str, parts: Parts, device: torch.device, how: Precision) -> Checkpoint:
    """A `Checkpoint` from transformers' parts of a Whisper model."""
    size, weights = _dimensions(parts.config), parts.weights
    named = getattr(parts.generation, "alignment_heads", None) or ()
    # Distilled checkpoints may name their teacher's.
    heads = [(layer, head) for layer, head in named if layer < size.decoder_layers]
    heads = heads or _upper_half_heads(size)
    return Checkpoint(
        name=name,
        size=size,
        encoder=Encoder(weights, size, device, how),
        decoder=Decoder(weights, size, device, how),
        vocabulary=Vocabulary.load(parts.generation, parts.tokenizer),
        features=LogMel(parts.extractor.mel_filters, device),
        alignment_heads=tuple((int(layer), int(head)) for layer, head in heads),
        encoder_fingerprint=_encoder_fingerprint(weights),
    )


def _dimensions(config: Any) -> Dimensions:
    return Dimensions(
        width=config.d_model,
        heads=config.decoder_attention_heads,
        encoder_heads=config.encoder_attention_heads,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        mels=config.num_mel_bins,
        vocabulary=config.vocab_size,
        max_positions=config.max_target_positions,
        max_frames=config.max_source_positions,
    )


def _encoder_fingerprint(weights: Weights) -> str:
    """A hash of some of every encoder tensor, rounded to float16, as checkpoints are published."""
    digest = sha256()
    for name, tensor in sorted(weights.items()):
        if name.startswith("model.encoder."):
            some = tensor.flatten()[:: max(1, tensor.numel() // 64)].to("cpu", torch.float16)
            digest.update(
                name.encode() + str(tuple(tensor.shape)).encode() + some.numpy().tobytes()
            )
    return digest.hexdigest()


def _upper_half_heads(size: Dimensions) -> list[tuple[int, int]]:
    """Stand-in for checkpoints that do not name alignment heads, as OpenAI's code does it."""
    layers = range(size.decoder_layers // 2, size.decoder_layers)
    return [(layer, head) for layer in layers for head in range(size.heads)]


def _explain(source: str, error: Exception) -> str:
    """One sentence about a model that did not load, and what to do."""
    if find_denial(error) in ("gated", "denied"):
        return (
            f"{source} is gated or private: accept its terms at https://huggingface.co/{source} "
            "and set HF_TOKEN to a token that may read it"
        )
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, KeyError | AttributeError):
        text = f"it lacks {text}"
    return f"cannot load {source}: {text} (a hub id like openai/whisper-base, or a directory?)"
