# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Batches go through permutation after permutation, as a function of the iteration alone."""

from __future__ import annotations

import torch
from scipy import stats

from stic_fast.noise_addresses import MIXUP_ORDER, REAL_ORDER
from stic_fast.training.batch_order import BatchOrder


def rows(order: BatchOrder, iterations: int) -> torch.Tensor:
    return torch.cat([order.rows(iteration) for iteration in range(iterations)])


def test_every_epoch_is_a_permutation_though_batches_straddle() -> None:
    order = BatchOrder(count=10, batch_size=4, seed=1)
    epochs = rows(order, 15).view(6, 10)
    assert torch.equal(epochs.sort(1).values, torch.arange(10).expand(6, 10))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 6, "epochs must differ"


def test_a_batch_larger_than_the_set() -> None:
    order = BatchOrder(count=3, batch_size=8, seed=1)
    epochs = rows(order, 3).view(8, 3)
    assert torch.equal(epochs.sort(1).values, torch.arange(3).expand(8, 3))


def test_rows_do_not_depend_on_what_was_asked_before() -> None:
    forwards = BatchOrder(count=10, batch_size=4, seed=1)
    expected = [forwards.rows(iteration) for iteration in range(12)]
    other = BatchOrder(count=10, batch_size=4, seed=1)
    for iteration in (11, 3, 3, 0, 7, 2, 11):
        assert torch.equal(other.rows(iteration), expected[iteration])
    far = BatchOrder(count=10, batch_size=4, seed=1).rows(10**8)
    assert far.shape == (4,) and torch.equal(far, forwards.rows(10**8))


def test_lanes_and_seeds_are_orders_of_their_own() -> None:
    epochs = [
        rows(BatchOrder(count=50, batch_size=50, seed=seed, ids=ids), 1)
        for seed, ids in ((1, REAL_ORDER), (1, MIXUP_ORDER), (2, REAL_ORDER))
    ]
    assert all(torch.equal(epoch.sort().values, torch.arange(50)) for epoch in epochs)
    agreements = [int((a == b).sum()) for i, a in enumerate(epochs) for b in epochs[:i]]
    # Two random permutations agree in one place on average, Poisson: more than ten is one in a hundred million.
    assert max(agreements) <= 10


def test_every_row_is_as_likely_in_every_place() -> None:
    order = BatchOrder(count=5, batch_size=5, seed=3)
    counts = torch.zeros(5, 5)
    for iteration in range(1000):
        counts[torch.arange(5), order.rows(iteration)] += 1
    # Rows and columns of the table sum to 1000: the statistic is 5/4 of a chi-square with 16 degrees of freedom.
    assert float((counts - 200).square().sum() / 200) < 5 / 4 * stats.chi2.ppf(1 - 1e-6, 16)
