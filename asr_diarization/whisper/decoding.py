"""The decoding loop: a batch of windows, each row at its own position, finished rows removed.

In float32 the tokens are those of transformers' `generate` (tests/real/whisper/test_decoding.py).
With a drafter the loop is speculative decoding (Leviathan et al. 2023, arXiv 2211.17192, the greedy
case): the drafter proposes k tokens, one pass of the model scores all of them, and each row accepts
those that the model would have chosen, plus the model's next token. Without a drafter, k is 0 and
the same lines decode token by token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.cuda_graphs import CapturedSteps
from asr_diarization.whisper.decoded import Decoded, repeated_tail
from asr_diarization.whisper.model import Decoder
from asr_diarization.whisper.rows import Rows
from asr_diarization.whisper.timestamp_rules import TimestampRules
from asr_diarization.whisper.vocabulary import Vocabulary

LOOP_CHECK_TOKENS = 16
"""A row is checked for repetition each time it has grown by this many tokens; a step adds fewer."""

SEED = 0
"""Of every row's samples."""


class Drafter(Protocol):
    """Proposes the next tokens of each row."""

    def draft(self, rows: Rows) -> Tensor:
        """Draft tokens of each row: (rows, k), k from 0 to `MAX_DRAFT`."""
        ...

    def update(self, rows: Rows, accepted: Tensor, verified: Tensor) -> None:
        """Take note of the last draft's result; `rows` has the accepted tokens already.

        Args:
            rows: as before `draft`, with more tokens.
            accepted: (rows,), how many draft tokens were accepted.
            verified: (rows,), how many were compared: those before the row's end.
        """

    def remove(self, row: int) -> None:
        """Replace `row` by the last row."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What the model predicts for a window after the start token alone."""

    language_probabilities: dict[str, float]
    """Empty for English-only checkpoints."""
    no_speech_probability: float


class BatchDecoder:
    """Greedy decoding, or sampling, of a batch of encoded windows."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, *, capture: bool = False) -> None:
        """`capture` records the step as a CUDA graph; see `cuda_graphs`."""
        self.decoder, self.vocabulary, self._capture = decoder, vocabulary, capture
        self.rules = TimestampRules(vocabulary, decoder.device)

    @torch.inference_mode()
    def detect(self, cache: Cache) -> list[Detection]:
        """Probabilities of the languages and of no speech, for each window of a new cache."""
        vocabulary = self.vocabulary
        tokens = torch.full((cache.rows, 1), vocabulary.start, device=self.decoder.device)
        hidden = self.decoder(tokens, torch.zeros_like(tokens[:, 0]), cache, length=1)
        probabilities = self.decoder.logits(hidden[:, -1]).softmax(dim=-1)
        no_speech = probabilities[:, vocabulary.no_speech].tolist()
        if not vocabulary.is_multilingual:
            return [Detection({}, one) for one in no_speech]
        codes, ids = zip(*vocabulary.languages.items(), strict=True)
        of_languages = probabilities[:, list(ids)]
        of_languages = of_languages / of_languages.sum(dim=1, keepdim=True)
        return [
            Detection(dict(zip(codes, row, strict=True)), one)
            for row, one in zip(of_languages.tolist(), no_speech, strict=True)
        ]

    @torch.inference_mode()
    def decode(
        self,
        cache: Cache,
        prefixes: Sequence[Sequence[int]],
        temperature: float = 0.0,
        drafter: Drafter | None = None,
    ) -> list[Decoded]:
        """Continue each prefix to its end, in the order of `prefixes`.

        Args:
            cache: of the encoded windows, one per prefix; its rows change places.
            prefixes: forced first tokens of each row.
            temperature: 0 takes the most probable token; above, tokens are sampled. Samples are the
                same in every run, and do not depend on the other rows.
            drafter: makes decoding speculative; the tokens do not change.
        """
        rows = Rows(prefixes, cache, self.rules)
        device = self.decoder.device
        generators = [torch.Generator(device).manual_seed(SEED) for _ in prefixes]
        results: dict[int, Decoded] = {}
        step = CapturedSteps(self.decoder, cache) if self._capture else partial(self._step, cache)
        self._prefill(rows)
        while rows:
            drafted = drafter.draft(rows) if drafter is not None else rows.last()[:, :0]
            logits = self._score_drafts(rows, drafted, step)
            of_rows = [generators[window] for window in cache.order[: len(rows)]]
            tokens, log_probabilities = _choose_tokens(logits, temperature, of_rows)
            accepted = (tokens[:, :-1] == drafted).long().cumprod(dim=1).sum(dim=1)
            appended = rows.append(tokens, log_probabilities, accepted + 1)
            if drafter is not None:
                ended = appended <= accepted  # draft tokens behind the end are not counted
                verified = appended.where(ended, drafted.shape[1])
                drafter.update(rows, accepted.minimum(appended), verified)
            self._collect_finished(rows, appended, results, drafter)
        return [results[window] for window in range(len(prefixes))]

    def _prefill(self, rows: Rows) -> None:
        """Fill the cache with all prefixes; the first step computes their last tokens again."""
        longest = int(rows.lengths.max())
        self.decoder(
            rows.tokens[:, :longest], torch.zeros_like(rows.lengths), rows.cache, length=longest
        )

    def _step(self, cache: Cache, tokens: Tensor, positions: Tensor, length: int) -> Tensor:
        return self.decoder.logits(self.decoder(tokens, positions, cache, length))

    def _score_drafts(
        self, rows: Rows, drafted: Tensor, step: Callable[[Tensor, Tensor, int], Tensor]
    ) -> Tensor:
        """Logits, under the rules, after each row's last token and after each of its draft tokens.

        Args:
            rows: n of them.
            drafted: (n, k).
            step: tokens, their positions and the length in use, to logits.

        Returns:
            (n, k + 1, vocabulary); position j follows the first j draft tokens.
        """
        tokens = torch.cat([rows.last(), drafted], dim=1)
        length = int(rows.lengths.max()) + drafted.shape[1]
        logits = step(tokens, rows.lengths - 1, length)
        state = rows.rule_state
        for j in range(tokens.shape[1]):
            if j:
                state = self.rules.advance(state, tokens[:, j])
            self.rules.apply(logits[:, j], state)
        return logits

    def _collect_finished(
        self, rows: Rows, appended: Tensor, results: dict[int, Decoded], drafter: Drafter | None
    ) -> None:
        """Move finished rows from `rows` to `results`, after a step that appended tokens."""
        last = rows.last().squeeze(1)
        is_done = ((last == self.rules.end) | (rows.lengths >= rows.cache.positions)).tolist()
        lengths, growth = (rows.lengths - rows.prefix_lengths).tolist(), appended.tolist()
        for row in reversed(range(len(rows))):
            # The cut must not depend on the number of tokens in a step: check at fixed lengths.
            length, check = lengths[row], lengths[row] - lengths[row] % LOOP_CHECK_TOKENS
            looped = check > length - growth[row] and self._is_looping(rows, row, check)
            if looped or is_done[row]:
                decoded = rows.result(row, check if looped else length, looped=looped)
                results[rows.cache.order[row]] = decoded
                rows.remove(row)
                if drafter is not None:
                    drafter.remove(row)

    def _is_looping(self, rows: Rows, row: int, length: int) -> bool:
        start = int(rows.prefix_lengths[row])
        tokens = rows.tokens[row, start : start + length].tolist()
        return repeated_tail([t for t in tokens if t < self.rules.first_timestamp]) > 0


def _choose_tokens(
    logits: Tensor, temperature: float, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """A token for each of (rows, new, vocabulary) and its log-probability."""
    if temperature:
        probabilities = torch.softmax(logits / temperature, dim=-1)
        sampled = [
            torch.multinomial(row, 1, generator=generator)
            for row, generator in zip(probabilities, generators, strict=True)
        ]
        tokens = torch.stack(sampled).squeeze(-1)
    else:
        tokens = logits.argmax(dim=-1)
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return tokens, chosen - torch.logsumexp(logits, dim=-1)
