"""The timestamp rules: which tokens Whisper may generate next, for many rows at once.

The rules of Radford et al. 2022 (section 2.3, as in OpenAI's and transformers' decoders): a
transcript starts with a timestamp; timestamps come in pairs and never go back; if all timestamps
together are more probable than the most probable text token, the next token is a timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asr_diarization.whisper.vocabulary import Vocabulary

MINUS_INFINITY = float("-inf")


@dataclass(frozen=True, slots=True)
class RuleState:
    """The facts about each row's tokens that the rules need; all of shape (rows,)."""

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

    def initial_state(self, rows: int) -> RuleState:
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
        """The state after each row has generated its token; `tokens` has shape (rows,)."""
        is_timestamp = tokens >= self.first_timestamp
        return RuleState(
            count=state.count + 1,
            last_is_timestamp=is_timestamp,
            previous_is_timestamp=(state.count == 0) | state.last_is_timestamp,
            latest=torch.where(is_timestamp, tokens, state.latest),
        )

    def apply(self, logits: Tensor, state: RuleState) -> Tensor:
        """Set the logits of forbidden tokens to minus infinity, in place.

        Args:
            logits: (rows, vocabulary), float32.
            state: each row's own.
        """
        logits.index_fill_(1, self._suppressed, MINUS_INFINITY)
        text, timestamps = logits[:, : self.first_timestamp], logits[:, self.first_timestamp :]
        at_start = state.count == 0
        after_pair = state.last_is_timestamp & state.previous_is_timestamp & ~at_start
        after_single = state.last_is_timestamp & ~state.previous_is_timestamp

        text.masked_fill_(at_start.unsqueeze(1), MINUS_INFINITY)
        text[:, : self.end].masked_fill_(after_single.unsqueeze(1), MINUS_INFINITY)
        earliest = torch.where(after_single, state.latest, state.latest + 1) - self.first_timestamp
        latest = torch.where(at_start, self._max_initial, timestamps.shape[1])
        steps = torch.arange(timestamps.shape[1], device=logits.device)
        outside = (steps < earliest.unsqueeze(1)) | (steps > latest.unsqueeze(1))
        timestamps.masked_fill_(outside | after_pair.unsqueeze(1), MINUS_INFINITY)

        # Both sides lack the same normaliser, so logits compare as log-probabilities would.
        timestamp_wins = torch.logsumexp(timestamps, dim=1) > text.amax(dim=1)
        text.masked_fill_(timestamp_wins.unsqueeze(1), MINUS_INFINITY)
        return logits
