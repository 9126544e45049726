# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Batches of fakes: of every kind as many, taken evenly from those that were drawn before the pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.noise_addresses import FAKE_PICKS
from stic_fast.ops import noise


class FakeBatches:
    """Nothing random but by seed and iteration.

    Args:
        real: real images, uint8 (N, channels, height, width), for the shape and the device of fakes.
        kinds: of fakes.
        size: fakes of each kind in a batch.
        label: that all of them have.
        seed: of what is taken.
    """

    def __init__(self, real: Tensor, *, kinds: int, size: int, label: int, seed: int) -> None:
        self.size, self.seed = size, seed
        count = kinds * size
        self._ids = FAKE_PICKS.ids(count, device=real.device)
        self._blank = real.new_full((count, *real.shape[1:]), 255)
        self._labels = torch.full((count,), label, device=real.device)

    def draw(self, iteration: int, drawn: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The fakes of an iteration, kind by kind, and their labels, int64.

        Args:
            drawn: uint8 (M, channels, height, width), those of each kind; empty before there are some, for blank ones.
        """
        if not drawn:
            return self._blank, self._labels
        stream = noise.Stream.BATCH_ORDER
        shape = (len(self._ids), 1)
        draws = noise.uniform(shape, seed=self.seed, step=iteration, chain_ids=self._ids, stream=stream)
        of_kinds = zip(torch.split(draws[:, 0], self.size), drawn, strict=True)
        picked = [fakes[(draw * len(fakes)).long().clamp_(max=len(fakes) - 1)] for draw, fakes in of_kinds]
        return torch.cat(picked), self._labels
