"""The decoding loop: many windows at once, each row at its own position, finished rows leave.

transformers' `generate` is the oracle: in float32 the tokens are the same
(tests/real/test_decoding.py). With a drafter the loop is speculative decoding (Leviathan et al.
2023, arXiv 2211.17192, the greedy case): a cheap guess at the next k tokens, one pass of the model
over all of them, and every row keeps as many as the model would have said itself, plus the one it
says next. Without one, k is 0 and the same lines decode token by token.
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
from asr_diarization.whisper.decoded import Decoded, repetition
from asr_diarization.whisper.model import Decoder
from asr_diarization.whisper.rows import Rows
from asr_diarization.whisper.timestamp_rules import TimestampRules
from asr_diarization.whisper.vocabulary import Vocabulary

LOOP_CHECK_TOKENS = 16
"""Every so many tokens, a row is checked for repetition; more than a step can say."""


class Drafter(Protocol):
    """Guesses what the model will say."""

    def draft(self, rows: Rows) -> Tensor:
        """Guesses at each row's next tokens: (rows, k), k from 0 to `MAX_DRAFT`."""
        ...

    def learn(self, rows: Rows, accepted: Tensor, judged: Tensor) -> None:
        """How many of each row's guesses were right, of how many before its end; both (rows,).

        `rows` has them now.
        """

    def remove(self, row: int) -> None:
        """The last row takes the place of `row`."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What the start token alone reveals about a row."""

    language: str | None
    """None for English-only checkpoints."""
    language_probabilities: dict[str, float]
    no_speech: float
    """Probability that the window holds no speech."""


class BatchDecoder:
    """Greedy decoding, or sampling, of a batch of encoded windows."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, *, capture: bool = False) -> None:
        """`capture` records the step and replays it; see `captured`."""
        self.decoder, self.vocabulary, self._capture = decoder, vocabulary, capture
        self.rules = TimestampRules(vocabulary, decoder.device)

    @torch.inference_mode()
    def open(self, cache: Cache) -> list[Opening]:
        """Language and chance of silence of each window of a new cache, by the start token."""
        vocabulary = self.vocabulary
        rows = cache.rows
        tokens = torch.full((rows, 1), vocabulary.start, device=self.decoder.device)
        hidden = self.decoder(tokens, torch.zeros_like(tokens[:, 0]), cache, length=1)
        probabilities = self.decoder.scores(hidden[:, -1]).softmax(dim=-1)
        no_speech = probabilities[:, vocabulary.no_speech].tolist()
        if not vocabulary.is_multilingual:
            return [Opening(None, {}, silent) for silent in no_speech]
        codes, ids = zip(*vocabulary.languages.items(), strict=True)
        spoken = probabilities[:, list(ids)]
        openings = []
        for row, silent in zip(
            (spoken / spoken.sum(dim=1, keepdim=True)).tolist(), no_speech, strict=True
        ):
            by_code = dict(zip(codes, row, strict=True))
            openings.append(Opening(max(by_code, key=by_code.__getitem__), by_code, silent))
        return openings

    @torch.inference_mode()
    def decode(
        self,
        cache: Cache,
        prefixes: Sequence[Sequence[int]],
        temperature: float = 0.0,
        seed: int = 0,
        drafter: Drafter | None = None,
    ) -> list[Decoded]:
        """Continue each prefix to its end, in the order of `prefixes`.

        Args:
            cache: of the encoded windows, one per prefix; its rows change places.
            prefixes: forced first tokens of each row.
            temperature: 0 takes the likeliest token; above, tokens are drawn.
            seed: of the draws, which do not depend on the rows beside.
            drafter: guesses ahead; changes the time it takes, not the tokens.
        """
        rows = Rows(prefixes, cache, self.rules)
        device = self.decoder.device
        generators = [torch.Generator(device).manual_seed(seed) for _ in prefixes]
        results: dict[int, Decoded] = {}
        step = CapturedSteps(self.decoder, cache) if self._capture else partial(self._step, cache)
        self._read_prefixes(rows)
        while rows:
            drafted = drafter.draft(rows) if drafter is not None else rows.last()[:, :0]
            scores = self._look(rows, drafted, step)
            drawing = [generators[window] for window in cache.order[: len(rows)]]
            tokens, log_probabilities = _choose(scores, temperature, drawing)
            right = (tokens[:, :-1] == drafted).long().cumprod(dim=1).sum(dim=1)
            said = rows.append(tokens, log_probabilities, right + 1)
            if drafter is not None:
                ended = said <= right  # what was guessed behind an end counts for nothing
                drafter.learn(rows, right.minimum(said), said.where(ended, drafted.shape[1]))
            self._collect(rows, said, results, drafter)
        return [results[window] for window in range(len(prefixes))]

    def _read_prefixes(self, rows: Rows) -> None:
        """Fill the cache with all prefixes at once; their last tokens are read again later."""
        longest = int(rows.lengths.max())
        self.decoder(
            rows.tokens[:, :longest], torch.zeros_like(rows.lengths), rows.cache, length=longest
        )

    def _step(self, cache: Cache, tokens: Tensor, positions: Tensor, length: int) -> Tensor:
        return self.decoder.scores(self.decoder(tokens, positions, cache, length))

    def _look(
        self, rows: Rows, drafted: Tensor, step: Callable[[Tensor, Tensor, int], Tensor]
    ) -> Tensor:
        """Scores, under the rules, after each row's last token and after every guess behind it.

        Args:
            rows: n of them.
            drafted: (n, k).
            step: tokens, their positions and the length in use, to scores.

        Returns:
            (n, k + 1, vocabulary); position j takes the first j guesses for granted.
        """
        tokens = torch.cat([rows.last(), drafted], dim=1)
        length = int(rows.lengths.max()) + drafted.shape[1]
        scores = step(tokens, rows.lengths - 1, length)
        state = rows.state
        for j in range(tokens.shape[1]):
            if j:
                state = self.rules.advance(state, tokens[:, j])
            self.rules.apply(scores[:, j], state)
        return scores

    def _collect(
        self, rows: Rows, said: Tensor, results: dict[int, Decoded], drafter: Drafter | None
    ) -> None:
        """Move finished rows from `rows` to `results`; `said`: tokens each row has just gained."""
        last = rows.last().squeeze(1)
        done = ((last == self.rules.end) | (rows.lengths >= rows.cache.positions)).tolist()
        lengths, gains = (rows.lengths - rows.starts).tolist(), said.tolist()
        for row in reversed(range(len(rows))):
            # Where a loop is cut must not depend on how many tokens a step happens to say.
            length, check = lengths[row], lengths[row] - lengths[row] % LOOP_CHECK_TOKENS
            looped = check > length - gains[row] and self._loops(rows, row, check)
            if looped or done[row]:
                decoded = rows.take(row, check if looped else length, looped=looped)
                results[rows.cache.order[row]] = decoded
                rows.remove(row)
                if drafter is not None:
                    drafter.remove(row)

    def _loops(self, rows: Rows, row: int, length: int) -> bool:
        start = int(rows.starts[row])
        tokens = rows.tokens[row, start : start + length].tolist()
        return repetition([t for t in tokens if t < self.rules.first_timestamp]) > 0


def _choose(
    scores: Tensor, temperature: float, generators: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """A token for each of (rows, new, vocabulary) and its log-probability."""
    if temperature:
        chances = torch.softmax(scores / temperature, dim=-1)
        drawn = [
            torch.multinomial(row, 1, generator=generator)
            for row, generator in zip(chances, generators, strict=True)
        ]
        tokens = torch.stack(drawn).squeeze(-1)
    else:
        tokens = scores.argmax(dim=-1)
    chosen = scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return tokens, chosen - torch.logsumexp(scores, dim=-1)
