"""Guessing ahead with an assistant: how, and when it pays.

An assistant is a second, smaller Whisper with the same vocabulary. One that was distilled from the
model (distil-whisper) shares its encoder and reads what the model has encoded; any other one has
its own. Which it is, the weights say, not the name.
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
    """Refuse an assistant that cannot guess for `model`.

    Raises:
        ModelLoadError: vocabulary, language or features differ; the sentence names both.
    """
    check_fit(_fit(model), _fit(assistant))


def share_encoder(model: Checkpoint, assistant: Checkpoint) -> Checkpoint:
    """`assistant` reading what `model` encodes, if their encoders' weights are the same."""
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


def cache_maker(
    assistant: Checkpoint, encoded: Sequence[Tensor] | None, waveforms: Sequence[Waveform]
) -> Callable[[Sequence[int]], Cache]:
    """What makes an assistant's cache of some of a batch's windows.

    Args:
        assistant: the one that will guess.
        encoded: the windows as it hears them; None if it has to encode them itself.
        waveforms: the windows.
    """

    def make_cache(windows: Sequence[int]) -> Cache:
        if encoded is None:
            return assistant.decoder.new_cache(assistant.encode([waveforms[i] for i in windows]))
        return assistant.decoder.new_cache([encoded[i] for i in windows])

    return make_cache


class AssistantDrafter:
    """Guesses with an assistant's decoder; one for each batch."""

    def __init__(
        self, decoder: Decoder, make_cache: Callable[[Sequence[int]], Cache], policy: DraftPolicy
    ) -> None:
        """`make_cache` gives the assistant's cache of some of the batch's windows, in this order.

        It is called when the first guess is wanted: one that has given up costs nothing.
        """
        self._decoder, self._make_cache, self._policy = decoder, make_cache, policy
        self._cache: Cache | None = None
        self._read = torch.zeros(0, dtype=torch.long, device=decoder.device)
        """How many of each row's tokens the cache holds."""
        self._count, self._draft_seconds, self._drafted_at = 0, 0.0, 0.0

    def draft(self, rows: Rows) -> Tensor:
        """The assistant's own greedy tokens, under the same rules: (rows, k)."""
        self._count = self._policy.length()
        if self._count and self._cache is None:
            self._cache = self._listen(rows)
        began = time.perf_counter()
        guesses = self._guess(rows, self._cache) if self._cache and self._count else rows.last()
        self._drafted_at = time.perf_counter()
        self._draft_seconds = self._drafted_at - began
        return guesses[:, : self._count]

    def learn(self, rows: Rows, accepted: Tensor, judged: Tensor) -> None:
        """Tell the policy how the guesses went, and forget the wrong ones."""
        if self._cache is not None:
            self._read = torch.minimum(self._read, rows.lengths - 1)
        right, of = accepted.tolist(), judged.tolist()
        look_seconds = time.perf_counter() - self._drafted_at
        self._policy.learn(right, of, self._count, self._draft_seconds, look_seconds)

    def remove(self, row: int) -> None:
        """The last row takes the place of `row`."""
        if self._cache is not None:
            last = len(self._read) - 1
            self._cache.swap_rows(row, last)
            self._read[row] = self._read[last]
            self._read = self._read[:last]

    def _listen(self, rows: Rows) -> Cache:
        """A cache of the rows that are left, holding all that they have said."""
        cache = self._make_cache(rows.cache.order[: len(rows)])
        longest = int(rows.lengths.max())
        self._decoder(
            rows.tokens[:, :longest], torch.zeros_like(rows.lengths), cache, length=longest
        )
        self._read = rows.lengths.clone()
        return cache

    def _guess(self, rows: Rows, cache: Cache) -> Tensor:
        missed = int((rows.lengths - self._read).max().clamp(min=1))
        back = torch.arange(min(missed, int(rows.lengths.min())), 0, -1, device=rows.tokens.device)
        unread = rows.tokens.gather(1, rows.lengths.unsqueeze(1) - back)
        guesses = unread[:, :0]
        state = rows.state
        for _ in range(self._count):
            end = rows.lengths + guesses.shape[1]
            hidden = self._decoder(unread, end - unread.shape[1], cache, length=int(end.max()))
            scores = rows.rules.apply(self._decoder.scores(hidden[:, -1]), state)
            unread = scores.argmax(dim=-1, keepdim=True)
            state = rows.rules.advance(state, unread[:, 0])
            guesses = torch.cat([guesses, unread], dim=1)
        self._read = rows.lengths + self._count - 1
        return guesses
