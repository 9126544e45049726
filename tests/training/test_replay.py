# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The replay buffer: which chains run when, how often they restart, and what a training iteration does to them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.data import Splits
from stic_fast.errors import Diverged
from stic_fast.sampling import GRMALA, ChainPool, LogMarginal, canvas
from stic_fast.training import Jem, JemConfig, build_network


def with_pool(config: JemConfig, **changes: Any) -> JemConfig:
    return dataclasses.replace(config, pool=dataclasses.replace(config.pool, **changes))


def method_of(config: JemConfig, splits: Splits) -> Jem:
    return Jem(build_network(config, splits), splits, config)


def pool_of(method: Jem) -> ChainPool:
    assert method.pool is not None
    return method.pool


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The rows of every run of chains, which then does nothing else."""
    made: list[Tensor] = []
    monkeypatch.setattr(ChainPool, "evolve", lambda self, model, *, rows: made.append(rows))
    return made


def test_the_chains_begin_on_their_canvases(tiny_jem: JemConfig, splits: Splits) -> None:
    pool = method_of(with_pool(tiny_jem, start="normal"), splits).new_pool()
    assert (len(pool), pool.hard, pool.seed) == (20, 20, tiny_jem.seed)
    assert torch.equal(pool.states, canvas("normal", (1, 8, 8), torch.arange(20), seed=tiny_jem.seed))
    assert pool.recipe.stages[0].sampler == tiny_jem.pool.sampler


def test_negatives_are_chains_of_the_pool_with_the_classes_asked_for(tiny_jem: JemConfig, splits: Splits) -> None:
    method = method_of(tiny_jem, splits)
    for iteration in range(5):
        drawn, asked = method.negatives(iteration)
        pool, rows = pool_of(method), torch.unique(method.order.rows(iteration))
        assert drawn.dtype == torch.float32 and torch.equal(drawn, pool.states[rows])
        assert torch.equal(asked, rows % 3)
        assert torch.equal(splits.train.labels[pool.condition.first[rows, 0]], asked), "restarts keep the class"


def test_only_the_chains_of_the_batch_change(tiny_jem: JemConfig, splits: Splits) -> None:
    method = method_of(tiny_jem, splits)
    method.negatives(0)
    pool = pool_of(method)
    states, first = pool.states.clone(), pool.condition.first.clone()
    method.negatives(1)
    others = torch.ones(20, dtype=torch.bool).index_fill(0, method.order.rows(1), False)
    assert int(others.sum()) == 12
    assert torch.equal(pool.states[others], states[others]) and torch.equal(pool.condition.first[others], first[others])
    assert bool((pool.states[~others] != states[~others]).flatten(1).any(1).all())


@pytest.mark.parametrize("chains", [24, 20])
def test_every_chain_runs_once_an_epoch(tiny_jem: JemConfig, splits: Splits, visits: list[Tensor], chains: int) -> None:
    method = method_of(with_pool(tiny_jem, chains=chains), splits)
    for iteration in range(15):
        method.negatives(iteration)
    assert all(len(rows.unique()) == len(rows) for rows in visits), "no chain twice in a batch"
    counts = torch.bincount(torch.cat(visits), minlength=chains)
    if chains == 24:
        assert counts.tolist() == [5] * 24
        assert all(torch.cat(visits[begin : begin + 3]).unique().numel() == 24 for begin in range(0, 15, 3))
        orders = {tuple(torch.cat(visits[begin : begin + 3]).tolist()) for begin in range(0, 15, 3)}
        assert len(orders) == 5, "each epoch has an order of its own"
    else:  # a chain that ends one epoch and begins the next in the same batch runs once for both
        assert torch.cat(visits[:3]).unique().numel() == 20
        assert int(counts.min()) >= 4 and int(counts.max()) <= 6 and int(counts.sum()) <= 120


def test_chains_go_on_where_they_were_with_new_noise(tiny_jem: JemConfig, splits: Splits) -> None:
    sampler = GRMALA(steps=3, eps1=0.1, eps2=0.0, eps3=0.05)
    method = method_of(with_pool(tiny_jem, chains=8, restart_probability=0.0, sampler=sampler), splits)
    x = method.new_pool().states
    for iteration in range(3):
        drawn, asked = method.negatives(iteration)
        assert pool_of(method).steps_done == 3 * (iteration + 1)
        options = {"seed": tiny_jem.seed, "objective": LogMarginal(), "first_step": 3 * iteration}
        x = sampler.run(method.model, x, asked, **options).x
        assert torch.equal(drawn, x)


def test_a_chain_restarts_with_the_configured_probability(
    tiny_jem: JemConfig, splits: Splits, visits: list[Tensor]
) -> None:
    """Only a restart changes a chain that never runs. 4,000 visits at 0.3: five sigmas are 145."""
    config = dataclasses.replace(with_pool(tiny_jem, chains=400), batch_size=40)
    method, restarts, of_chain = method_of(config, splits), 0, torch.zeros(400)
    before = method.new_pool().states
    for iteration in range(100):
        method.negatives(iteration)
        changed = (pool_of(method).states != before).flatten(1).any(1)
        assert not bool(changed[~torch.isin(torch.arange(400), visits[-1])].any())
        restarts, of_chain, before = restarts + int(changed.sum()), of_chain + changed, pool_of(method).states.clone()
    assert abs(restarts - 1200) < 145
    # Ten coins for each chain, binomial with variance 2.1; its own variance over 400 chains is within five sigmas.
    assert abs(float(of_chain.var()) - 2.1) < 5 * 2.1 * (2 / 400) ** 0.5


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 8)])
def test_never_and_always(
    tiny_jem: JemConfig, splits: Splits, visits: list[Tensor], probability: float, expected: int
) -> None:
    method = method_of(with_pool(tiny_jem, restart_probability=probability), splits)
    before = method.new_pool().states
    method.negatives(0)
    assert int((pool_of(method).states != before).flatten(1).any(1).sum()) == expected


def test_a_saved_buffer_goes_on_bit_by_bit(tiny_jem: JemConfig, splits: Splits) -> None:
    method = method_of(tiny_jem, splits)
    for iteration in range(4):
        method.negatives(iteration)
    saved = method.state_dict()
    copies = [method_of(tiny_jem, splits) for _ in range(2)]
    for other in copies:
        other.load_state_dict(saved)
    for iteration in range(4, 8):
        drawn, _ = method.negatives(iteration)
        for other in copies:
            assert torch.equal(other.negatives(iteration)[0], drawn)
    for other in copies:
        for ours, theirs in zip(
            pool_of(other).state_dict().values(), pool_of(method).state_dict().values(), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_chains_keep_their_own_precision_in_a_bf16_iteration(tiny_jem: JemConfig, splits: Splits) -> None:
    """The engine calls the loss under autocast; what a chain computes in is its sampler's business."""
    plain, under = (method_of(tiny_jem, splits) for _ in range(2))
    half = dataclasses.replace(tiny_jem.pool.sampler, precision="bf16")
    asked_for = method_of(with_pool(tiny_jem, sampler=half), splits)
    for iteration in range(2):
        expected, _ = plain.negatives(iteration)
        with torch.autocast("cpu", torch.bfloat16):
            drawn, _ = under.negatives(iteration)
            halved, _ = asked_for.negatives(iteration)
            assert torch.is_autocast_enabled("cpu")
        assert torch.equal(drawn, expected) and not torch.equal(halved, expected)


def test_a_chain_that_diverges_leaves_the_model_learning(tiny_jem: JemConfig, splits: Splits) -> None:
    method = method_of(tiny_jem, splits)
    method.model.train()
    with torch.no_grad():
        next(method.model.parameters()).fill_(torch.nan)
    with pytest.raises(Diverged, match="chains diverged to NaN"):
        method.loss(0)
    assert all(parameter.requires_grad for parameter in method.model.parameters())
    assert all(module.training for module in method.model.modules())
