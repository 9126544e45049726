# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Which rows make up a batch: shuffled epochs as a pure function of seed and iteration."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.noise_addresses import REAL_ORDER, ChainIds
from stic_fast.ops import noise


class BatchOrder:
    """Rows of batch after batch; each epoch is a new permutation, and a batch may straddle two.

    Nothing needs saving: the rows of an iteration follow from its number.

    Args:
        count: rows of the set.
        batch_size: rows of a batch.
        seed: of the permutations.
        ids: of the rows' noise, which tell orders over the same set apart.

    >>> order = BatchOrder(count=4, batch_size=2, seed=0)
    >>> torch.cat([order.rows(0), order.rows(1)]).sort().values
    tensor([0, 1, 2, 3])
    """

    def __init__(
        self,
        *,
        count: int,
        batch_size: int,
        seed: int,
        ids: ChainIds = REAL_ORDER,
        device: torch.device | str = "cpu",
    ) -> None:
        self.batch_size = batch_size
        self.seed = seed
        self.ids = ids.ids(count, device=device)
        self._epochs: dict[int, Tensor] = {}

    def rows(self, iteration: int) -> Tensor:
        """int64 (batch_size,), the rows of this iteration, counted over the whole run from 0."""
        count = len(self.ids)
        begin, end = iteration * self.batch_size, (iteration + 1) * self.batch_size
        epochs = range(begin // count, (end - 1) // count + 1)
        self._epochs = {epoch: self._permutation(epoch) for epoch in epochs}
        offset = begin - epochs[0] * count
        return torch.cat(list(self._epochs.values()))[offset : offset + self.batch_size]

    def _permutation(self, epoch: int) -> Tensor:
        if epoch in self._epochs:
            return self._epochs[epoch]
        keys = noise.uniform(
            (len(self.ids), 1),
            seed=self.seed,
            step=epoch,
            chain_ids=self.ids,
            stream=noise.Stream.BATCH_ORDER,
            device=self.ids.device,
        )
        return torch.argsort(keys[:, 0], stable=True)
