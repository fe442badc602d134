"""Guessing ahead with an assistant: how, and when it pays.

An assistant is a second, smaller Whisper with the same vocabulary. One that was distilled from the
model (distil-whisper) shares its encoder and reads what the model has encoded; any other one has
its own. Which it is, the weights say, not the name.
"""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor

from asr_diarization.assistant_fit import Fit, check_fit, spelled_languages
from asr_diarization.caches import MAX_DRAFT, Cache
from asr_diarization.loading import Checkpoint
from asr_diarization.rows import Rows
from asr_diarization.whisper import Decoder

FIRST_DRAFT = 3
"""Tokens guessed while nothing is known yet."""
WARM_UP_STEPS = 4
"""Steps that guess and do not guess in turn, to learn what both cost."""
PROBE_STEPS = 64
"""So many steps after giving up, one guess finds out whether it would pay now."""
PROBE_DRAFT = 2
FORGETTING = 0.9
"""Weight of the past at each step, in costs and in acceptance."""
MIN_SPREAD = 1e-3
"""After one length for long, the others are forgotten; the line then keeps its last slope."""


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


class DraftPolicy:
    """How many tokens to guess, by what guesses have been worth and have cost so far.

    With acceptance a, a step that guesses k tokens says (1 - a^(k+1)) / (1 - a) on average
    (Leviathan et al. 2023, equation 1) and takes k drafts and one look at k + 1 positions, whose
    seconds are taken to grow linearly in k. The best k is the one with most tokens per second, 0
    included.
    """

    def __init__(self) -> None:
        self.steps = self.row_steps = self.drafted = self.accepted = 0
        self._right, self._wrong = 0.0, 0.0
        self._draft_seconds = 0.0
        self._looks: tuple[float, ...] = (0.0,) * 5
        """Weighted sums of 1, k, k^2, seconds, k x seconds."""
        self._slope = 0.0

    def stats(self) -> dict[str, object]:
        """What was done, JSON-ready."""
        row_steps = max(1, self.row_steps)
        return {
            "drafted": self.drafted,
            "accepted": self.accepted,
            "steps": self.steps,
            "draft_length": round(self.drafted / row_steps, 2),
        }

    def length(self) -> int:
        """How many tokens to guess now."""
        if self.steps < WARM_UP_STEPS:
            return 0 if self.steps % 2 else FIRST_DRAFT
        best = max(range(MAX_DRAFT + 1), key=self.tokens_per_second)
        return PROBE_DRAFT if not best and self.steps % PROBE_STEPS == 0 else best

    def tokens_per_second(self, length: int) -> float:
        """What a row is expected to gain when `length` tokens are guessed."""
        acceptance = min(0.999, (self._right + 0.5) / (self._right + self._wrong + 1.0))
        tokens = (1 - acceptance ** (length + 1)) / (1 - acceptance)
        return tokens / max(1e-9, length * self._draft_seconds + self._look_seconds(length))

    def learn(
        self, accepted: list[int], drafted: int, draft_seconds: float, look_seconds: float
    ) -> None:
        """What one step has shown; `accepted` has a number for each row."""
        self.steps += 1
        self.row_steps += len(accepted)
        self.drafted += drafted * len(accepted)
        self.accepted += sum(accepted)
        if drafted:
            self._right = FORGETTING * self._right + sum(accepted) / len(accepted)
            wrong = sum(one < drafted for one in accepted) / len(accepted)
            self._wrong = FORGETTING * self._wrong + wrong
            each = draft_seconds / drafted
            known = self._draft_seconds or each
            self._draft_seconds = FORGETTING * known + (1 - FORGETTING) * each
        new = (1.0, drafted, drafted**2, look_seconds, drafted * look_seconds)
        self._looks = tuple(FORGETTING * a + b for a, b in zip(self._looks, new, strict=True))
        n, k, kk, s, ks = self._looks
        if (spread := n * kk - k * k) > MIN_SPREAD:
            self._slope = max(0.0, (n * ks - k * s) / spread)

    def _look_seconds(self, length: int) -> float:
        """Least-squares line through what looks have taken; flat until two lengths are known."""
        n, k, _, s, _ = self._looks
        return max(1e-9, (s - self._slope * k) / max(n, 1e-9) + self._slope * length)


class AssistantDrafter:
    """Guesses with an assistant's decoder; one for each batch."""

    def __init__(self, decoder: Decoder, cache: Cache, policy: DraftPolicy) -> None:
        """`cache` is the assistant's, of the same windows in the same rows as the model's."""
        self._decoder, self._cache, self._policy = decoder, cache, policy
        self._read = torch.zeros(cache.rows, dtype=torch.long, device=decoder.device)
        """How many of each row's tokens its cache holds."""
        self._draft_seconds, self._drafted_at = 0.0, 0.0

    def begin(self, rows: Rows) -> None:
        """Read the prefixes."""
        longest = int(rows.lengths.max())
        self._decoder(
            rows.tokens[:, :longest], torch.zeros_like(rows.lengths), self._cache, length=longest
        )
        self._read = rows.lengths.clone()

    def draft(self, rows: Rows) -> Tensor:
        """The assistant's own greedy tokens, under the same rules: (rows, k)."""
        began = time.perf_counter()
        count = self._policy.length()
        guesses = self._guess(rows, count) if count else rows.last()[:, :0]
        self._drafted_at = time.perf_counter()
        self._draft_seconds = self._drafted_at - began
        return guesses

    def learn(self, rows: Rows, accepted: Tensor, drafted: int) -> None:
        """Tell the policy how the guesses went, and forget the wrong ones."""
        self._read = torch.minimum(self._read, rows.lengths - 1)
        right = accepted.tolist()
        look_seconds = time.perf_counter() - self._drafted_at
        self._policy.learn(right, drafted, self._draft_seconds, look_seconds)

    def remove(self, row: int) -> None:
        """The last row takes the place of `row`."""
        last = len(self._read) - 1
        self._cache.swap_rows(row, last)
        self._read[row] = self._read[last]
        self._read = self._read[:last]

    def _guess(self, rows: Rows, count: int) -> Tensor:
        missed = int((rows.lengths - self._read).max().clamp(min=1))
        back = torch.arange(min(missed, int(rows.lengths.min())), 0, -1, device=rows.tokens.device)
        unread = rows.tokens.gather(1, rows.lengths.unsqueeze(1) - back)
        guesses = unread[:, :0]
        state = rows.state
        for _ in range(count):
            end = rows.lengths + guesses.shape[1]
            hidden = self._decoder(
                unread, end - unread.shape[1], self._cache, length=int(end.max())
            )[:, -1]
            scores = rows.rules.apply(self._decoder.scores(hidden), state)
            unread = scores.argmax(dim=-1, keepdim=True)
            state = rows.rules.advance(state, unread[:, 0])
            guesses = torch.cat([guesses, unread], dim=1)
        self._read = rows.lengths + count - 1
        return guesses
