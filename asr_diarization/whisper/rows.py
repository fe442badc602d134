"""The rows of a batch while they are decoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asr_diarization.whisper.caches import MAX_DRAFT, Cache
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.timestamp_rules import TimestampRules


class Rows:
    """The unfinished rows: tokens, lengths and rule states.

    Row i of every tensor is row i of the cache, whose `order` says which window that is.
    """

    def __init__(
        self, prefixes: Sequence[Sequence[int]], cache: Cache, rules: TimestampRules
    ) -> None:
        device, capacity = rules.device, cache.positions
        prefixes = [prefixes[window] for window in cache.order]
        self.rules, self.cache = rules, cache
        self.prefix_lengths = torch.tensor([len(p) for p in prefixes], device=device)
        self.lengths = self.prefix_lengths.clone()
        self.tokens = torch.zeros(
            len(prefixes), capacity + MAX_DRAFT + 1, dtype=torch.long, device=device
        )
        for row, prefix in enumerate(prefixes):
            self.tokens[row, : len(prefix)] = torch.tensor(prefix, device=device)
        self.log_probabilities = torch.zeros(self.tokens.shape, device=device)
        self.rule_state = rules.initial_state(len(prefixes))

    def __len__(self) -> int:
        return len(self.lengths)

    def last(self) -> Tensor:
        """The newest token of each row: (rows, 1)."""
        return self.tokens.gather(1, self.lengths.unsqueeze(1) - 1)

    def append(self, tokens: Tensor, log_probabilities: Tensor, counts: Tensor) -> Tensor:
        """Append the first `counts[i]` tokens to row i, up to its end token, if there is room.

        Args:
            tokens: (rows, new).
            log_probabilities: likewise.
            counts: (rows,), at least 1.

        Returns:
            (rows,), how many were appended.
        """
        new = tokens.shape[1]
        is_end = (tokens == self.rules.end).long()
        up_to_end = (is_end.cumsum(dim=1) - is_end == 0).sum(dim=1)
        counts = torch.minimum(counts, up_to_end).clamp(max=self.cache.positions - self.lengths)
        columns = self.lengths.unsqueeze(1) + torch.arange(new, device=tokens.device)
        self.tokens.scatter_(1, columns, tokens)  # tokens beyond `counts` are overwritten later
        self.log_probabilities.scatter_(1, columns, log_probabilities)
        for column in range(new):
            is_counted = column < counts
            advanced = self.rules.advance(self.rule_state, tokens[:, column])
            self.rule_state = self.rule_state.where(is_counted, advanced)
        self.lengths += counts
        return counts

    def result(self, row: int, length: int, *, looped: bool) -> Decoded:
        """The first `length` tokens that were generated for `row`."""
        start = int(self.prefix_lengths[row])
        tokens = self.tokens[row, start : start + length].tolist()
        log_probabilities = self.log_probabilities[row, start : start + length].tolist()
        if tokens and tokens[-1] == self.rules.end:
            tokens = tokens[:-1]  # the end counts in the mean, as in OpenAI's decoder
        return Decoded(tuple(tokens), tuple(log_probabilities), looped)

    def remove(self, row: int) -> None:
        """Replace `row` by the last row, in the cache too."""
        last = len(self) - 1
        self.cache.swap_rows(row, last)
        order = list(range(last))
        if row != last:
            order[row] = last
        kept = torch.tensor(order, dtype=torch.long, device=self.tokens.device)
        self.prefix_lengths, self.lengths = self.prefix_lengths[kept], self.lengths[kept]
        self.tokens, self.log_probabilities = self.tokens[kept], self.log_probabilities[kept]
        self.rule_state = self.rule_state[kept]
