"""Which tokens Whisper may say next, for many rows at once.

The rules of Radford et al. 2022 (section 2.3, as in OpenAI's and transformers' decoders): a
transcript starts with a timestamp, timestamps come in pairs and never go back, and when all
timestamps together are likelier than the likeliest text token, a timestamp it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_diarization.whisper.vocabulary import Vocabulary

NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class RuleState:
    """What the rules need to know of each row's tokens so far; all of shape (rows,)."""

    count: Tensor
    """How many tokens were generated, prefix excluded."""
    last_is_timestamp: Tensor
    previous_is_timestamp: Tensor
    """The token before the last one; true also when there are fewer than two."""
    latest: Tensor
    """Id of the latest timestamp; one less than the first id when there was none."""

    def __getitem__(self, rows: Tensor | slice) -> RuleState:
        return RuleState(
            self.count[rows],
            self.last_is_timestamp[rows],
            self.previous_is_timestamp[rows],
            self.latest[rows],
        )

    def where(self, rows: Tensor, other: RuleState) -> RuleState:
        """`other` for the rows marked, this one for the rest."""
        return RuleState(
            torch.where(rows, other.count, self.count),
            torch.where(rows, other.last_is_timestamp, self.last_is_timestamp),
            torch.where(rows, other.previous_is_timestamp, self.previous_is_timestamp),
            torch.where(rows, other.latest, self.latest),
        )


class TimestampRules:
    """The rules for one vocabulary, on one device."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        self.first_timestamp, self.end, self.device = (
            vocabulary.first_timestamp,
            vocabulary.end,
            device,
        )
        self._max_initial = vocabulary.max_initial_timestamp
        self._suppressed = torch.tensor(vocabulary.suppressed, device=device)

    def begin(self, rows: int) -> RuleState:
        """The state of `rows` rows that have generated nothing."""
        return RuleState(
            count=torch.zeros(rows, dtype=torch.long, device=self.device),
            last_is_timestamp=torch.zeros(rows, dtype=torch.bool, device=self.device),
            previous_is_timestamp=torch.ones(rows, dtype=torch.bool, device=self.device),
            latest=torch.full(
                (rows,), self.first_timestamp - 1, dtype=torch.long, device=self.device
            ),
        )

    def advance(self, state: RuleState, tokens: Tensor) -> RuleState:
        """The state after each row has said its token; `tokens` has shape (rows,)."""
        is_timestamp = tokens >= self.first_timestamp
        return RuleState(
            count=state.count + 1,
            last_is_timestamp=is_timestamp,
            previous_is_timestamp=(state.count == 0) | state.last_is_timestamp,
            latest=torch.where(is_timestamp, tokens, state.latest),
        )

    def apply(self, scores: Tensor, state: RuleState) -> Tensor:
        """Set what must not come next to minus infinity, in place.

        Args:
            scores: (rows, vocabulary) logits, float32.
            state: each row's own.
        """
        scores.index_fill_(1, self._suppressed, NEVER)
        text, timestamps = scores[:, : self.first_timestamp], scores[:, self.first_timestamp :]
        at_begin = state.count == 0
        closed = state.last_is_timestamp & state.previous_is_timestamp & ~at_begin
        opened = state.last_is_timestamp & ~state.previous_is_timestamp

        text.masked_fill_(at_begin.unsqueeze(1), NEVER)
        text[:, : self.end].masked_fill_(opened.unsqueeze(1), NEVER)
        earliest = torch.where(opened, state.latest, state.latest + 1) - self.first_timestamp
        latest = torch.where(at_begin, self._max_initial, timestamps.shape[1])
        steps = torch.arange(timestamps.shape[1], device=scores.device)
        outside = (steps < earliest.unsqueeze(1)) | (steps > latest.unsqueeze(1))
        timestamps.masked_fill_(outside | closed.unsqueeze(1), NEVER)

        # Both sides lack the same normaliser, so logits compare as log-probabilities would.
        stamped = torch.logsumexp(timestamps, dim=1) > text.amax(dim=1)
        text.masked_fill_(stamped.unsqueeze(1), NEVER)
        return scores
