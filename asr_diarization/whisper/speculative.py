"""Speculative decoding with an assistant: which assistants fit, and the drafter.

An assistant is a second, smaller Whisper with the same vocabulary. An assistant that was distilled
from the model (distil-whisper) shares its encoder and reuses the model's encoded windows; any other
one encodes for itself. The weights decide which of the two it is, not the name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.model_info.compatibility import Fit, check_fit, spelled_languages
from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.checkpoint import Checkpoint
from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.model import Decoder
from asr_diarization.whisper.rows import Rows


def check_assistant(model: Checkpoint, assistant: Checkpoint) -> None:
    """Refuse an assistant that cannot draft for `model`.

    Raises:
        ModelLoadError: vocabulary, language or features differ; the sentence names both.
    """
    check_fit(_fit(model), _fit(assistant))


def share_encoder(model: Checkpoint, assistant: Checkpoint) -> Checkpoint:
    """`assistant` with the encoder of `model`, if their encoders' weights are the same."""
    if assistant.encoder_fingerprint != model.encoder_fingerprint:
        return assistant
    return replace(assistant, encoder=model.encoder)


def _fit(checkpoint: Checkpoint) -> Fit:
    size, vocabulary = checkpoint.size, checkpoint.vocabulary
    return Fit(
        checkpoint.name,
        vocabulary=size.vocabulary,
        languages=spelled_languages(is_multilingual=vocabulary.is_multilingual),
        special_tokens=(vocabulary.start, vocabulary.end, vocabulary.no_timestamps),
        mel_bins=size.mels,
        positions=size.max_positions,
    )


def cache_factory(
    assistant: Checkpoint, encoded: Sequence[Tensor] | None, waveforms: Sequence[Waveform]
) -> Callable[[Sequence[int]], Cache]:
    """A function that makes an assistant's cache for some windows of a batch.

    Args:
        assistant: the model that will draft.
        encoded: the windows as its encoder gives them; None if it has to encode them itself.
        waveforms: the windows.
    """

    def make_cache(windows: Sequence[int]) -> Cache:
        if encoded is None:
            return assistant.decoder.new_cache(assistant.encode([waveforms[i] for i in windows]))
        return assistant.decoder.new_cache([encoded[i] for i in windows])

    return make_cache


class AssistantDrafter:
    """Drafts with an assistant's decoder; one for each batch."""

    def __init__(
        self, decoder: Decoder, make_cache: Callable[[Sequence[int]], Cache], policy: DraftPolicy
    ) -> None:
        """`make_cache` gives the assistant's cache of some of the batch's windows, in this order.

        It is called before the first draft: while nothing is drafted, nothing is encoded.
        """
        self._decoder, self._make_cache, self._policy = decoder, make_cache, policy
        self._cache: Cache | None = None
        self._cached_lengths = torch.zeros(0, dtype=torch.long, device=decoder.device)
        """How many of each row's tokens the cache holds."""
        self._draft_length, self._draft_seconds, self._drafted_at = 0, 0.0, 0.0

    def draft(self, rows: Rows) -> Tensor:
        """The assistant's own greedy tokens, under the same rules: (rows, k)."""
        self._draft_length = self._policy.length()
        if self._draft_length and self._cache is None:
            self._cache = self._prefill(rows)
        began = time.perf_counter()
        if self._cache and self._draft_length:
            drafted = self._decode(rows, self._cache)
        else:
            drafted = rows.last()[:, :0]
        self._drafted_at = time.perf_counter()
        self._draft_seconds = self._drafted_at - began
        return drafted

    def update(self, rows: Rows, accepted: Tensor, verified: Tensor) -> None:
        """Report the draft's result to the policy; drop rejected tokens from the cache."""
        if self._cache is not None:
            self._cached_lengths = torch.minimum(self._cached_lengths, rows.lengths - 1)
        counts = accepted.tolist(), verified.tolist()
        verify_seconds = time.perf_counter() - self._drafted_at
        self._policy.update(*counts, self._draft_length, self._draft_seconds, verify_seconds)

    def remove(self, row: int) -> None:
        """Replace `row` by the last row."""
        if self._cache is not None:
            last = len(self._cached_lengths) - 1
            self._cache.swap_rows(row, last)
            self._cached_lengths[row] = self._cached_lengths[last]
            self._cached_lengths = self._cached_lengths[:last]

    def _prefill(self, rows: Rows) -> Cache:
        """A cache of the unfinished rows that holds all their tokens."""
        cache = self._make_cache(rows.cache.order[: len(rows)])
        longest = int(rows.lengths.max())
        self._decoder(
            rows.tokens[:, :longest], torch.zeros_like(rows.lengths), cache, length=longest
        )
        self._cached_lengths = rows.lengths.clone()
        return cache

    def _decode(self, rows: Rows, cache: Cache) -> Tensor:
        """Draft tokens, after the tokens that the cache does not hold yet."""
        missing = int((rows.lengths - self._cached_lengths).max().clamp(min=1))
        missing = min(missing, int(rows.lengths.min()))
        distances = torch.arange(missing, 0, -1, device=rows.tokens.device)
        tokens = rows.tokens.gather(1, rows.lengths.unsqueeze(1) - distances)
        drafted = tokens[:, :0]
        state = rows.rule_state
        for _ in range(self._draft_length):
            ends = rows.lengths + drafted.shape[1]
            hidden = self._decoder(tokens, ends - tokens.shape[1], cache, length=int(ends.max()))
            logits = rows.rules.apply(self._decoder.logits(hidden[:, -1]), state)
            tokens = logits.argmax(dim=-1, keepdim=True)
            state = rows.rules.advance(state, tokens[:, 0])
            drafted = torch.cat([drafted, tokens], dim=1)
        self._cached_lengths = rows.lengths + self._draft_length - 1
        return drafted
