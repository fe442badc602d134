"""Adapter: a Whisper checkpoint in transformers' format, from a directory or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.access import find_denial
from asr_diarization.whisper.features import LogMel, frames_of
from asr_diarization.whisper.model import Decoder, Dimensions, Encoder, Weights
from asr_diarization.whisper.precision import Precision, choose_precision
from asr_diarization.whisper.vocabulary import Tokenizer, Vocabulary

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PREFIX = "model."
"""Of names in `WhisperForConditionalGeneration`; a bare `WhisperModel` is saved without it."""
PADDING_FRAMES = 400
"""Frames of 20 ms after the end of speech where 30 s cost too much (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A Whisper model as transformers' classes describe it."""

    config: Any
    generation: Any
    tokenizer: Tokenizer
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
    """(layer, head) pairs whose cross-attention gives the word times."""
    encoder_fingerprint: str
    """Equal for checkpoints with the same encoder weights."""

    def encode(self, waveforms: Sequence[Waveform]) -> list[Tensor]:
        """(frames, width) for each waveform of at most 30 s, padded with silence.

        Whisper was trained on 30 s. An accelerator encodes all waveforms together, each padded to
        30 s. On a CPU the encoder is most of the work and a batch saves nothing: there each
        waveform is encoded by itself, padded with eight seconds.
        """
        max_frames = self.size.max_frames
        if self.decoder.device.type != "cpu":
            return list(self.encoder(self.features(waveforms, max_frames)))
        lengths = [min(max_frames, frames_of(waveform) + PADDING_FRAMES) for waveform in waveforms]
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
        ModelLoadError: it is missing, not Whisper, or may not be read; the message says which.
    """
    from transformers import AutoConfig

    chosen = choose_precision(precision, device)
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
            load_weights(source, device, token),
        )
        return build_checkpoint(source, parts, device, chosen)
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise ModelLoadError(_explain(source, error)) from error


def load_weights(source: str, device: torch.device, token: str | None = None) -> Weights:
    """Every tensor by its name in the whole model, in its stored type.

    accelerate reads safetensors files straight to the device. transformers' Whisper would take
    longer than the rest of a start: its import, and modules that are not needed. It only loads
    checkpoints without safetensors files.

    Args:
        source: hub id or directory.
        device: where safetensors files are read to.
        token: for gated or private repositories.

    Raises:
        OSError: there is no such checkpoint, or it may not be read.
    """
    weights = _read_tensors(source, device, token)
    is_bare = "encoder.conv1.weight" in weights
    return {PREFIX + name: t for name, t in weights.items()} if is_bare else weights


def _read_tensors(source: str, device: torch.device, token: str | None) -> Weights:
    """Tensors by their stored names."""
    from accelerate.utils import load_state_dict
    from transformers.utils.hub import get_checkpoint_shard_files

    if single := _find(source, SINGLE, token):
        paths = [single]
    elif index := _find(source, INDEX, token):
        paths, _ = get_checkpoint_shard_files(source, index, token=token)
    else:
        return _read_pickled(source, token)
    device_map = {"": str(device)}
    return {name: t for path in paths for name, t in load_state_dict(path, device_map).items()}


def _read_pickled(source: str, token: str | None) -> Weights:
    """Tensors of a checkpoint without safetensors files, on the CPU."""
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(
        source, token=token, torch_dtype=torch.float32
    )
    weights: Weights = model.state_dict()
    return weights


def _find(source: str, name: str, token: str | None) -> str | None:
    from transformers.utils import cached_file

    try:
        path: str | None = cached_file(source, name, token=token)
    except OSError:
        return None  # the checkpoint may have another file; the last attempt raises the error
    return path


def _generation_config(source: str, config: Any, token: str | None) -> Any:
    """The checkpoint's own; built from its model config if it has none."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(source, token=token)
    except OSError:
        return GenerationConfig.from_model_config(config)


def _tokenizer(source: str, token: str | None) -> Tokenizer:
    """The checkpoint's own; transformers 4 reads the files of 5 from `tokenizer.json` alone."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast
    from transformers.utils import cached_file

    tokenizer: Tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, token=token)
    except (AttributeError, ValueError):  # a list instead of a dictionary; another class name
        path = cached_file(source, "tokenizer.json", token=token)
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=path)
    return tokenizer


def _extractor(source: str, config: Any, token: str | None) -> Any:
    """The checkpoint's own; transformers 5 keeps it in a file that 4 does not know."""
    from transformers import WhisperFeatureExtractor

    try:
        return WhisperFeatureExtractor.from_pretrained(source, token=token)
    except OSError:
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins)


def build_checkpoint(
    name: str, parts: Parts, device: torch.device, precision: Precision
) -> Checkpoint:
    """A `Checkpoint` from the parts that transformers loads."""
    size, weights = _dimensions(parts.config), parts.weights
    listed = getattr(parts.generation, "alignment_heads", None) or ()
    # Distilled checkpoints may list their teacher's heads.
    heads = [(layer, head) for layer, head in listed if layer < size.decoder_layers]
    heads = heads or _upper_half_heads(size)
    return Checkpoint(
        name=name,
        size=size,
        encoder=Encoder(weights, size, device, precision),
        decoder=Decoder(weights, size, device, precision),
        vocabulary=Vocabulary.load(parts.generation, parts.tokenizer, size.vocabulary),
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
    """A hash of a sample of every encoder tensor, in float16, as many checkpoints are published."""
    digest = sha256()
    for name, tensor in sorted(weights.items()):
        if name.startswith("model.encoder."):
            sample = tensor.flatten()[:: max(1, tensor.numel() // 64)].to("cpu", torch.float16)
            digest.update(
                name.encode() + str(tuple(tensor.shape)).encode() + sample.numpy().tobytes()
            )
    return digest.hexdigest()


def _upper_half_heads(size: Dimensions) -> list[tuple[int, int]]:
    """All heads of the upper layers: OpenAI's default for checkpoints without alignment heads."""
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
