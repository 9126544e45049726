# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The pool keeps its chains, restarts some of them, and can be put back as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import WideResNet
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.sampling import GRMALA, ChainPool, GramRegulariser, PixelSpace, Recipe, Stage, canvas

SAMPLER = GRMALA(steps=2, eps3=0.1)


def new_pool(
    images: Tensor,
    labels: Tensor,
    hard: int = 7,
    soft: int = 5,
    seed: int = 3,
    references: int = 1,
    normalize: Literal["log", "relative"] = "log",
    **space: Any,
) -> ChainPool:
    space = PixelSpace(**{"keep": "bytes", **space})
    recipe = Recipe(Stage(SAMPLER, normalize=normalize), space, references)
    return ChainPool(images, labels, recipe, num_classes=3, hard=hard, soft=soft, seed=seed)


def everything(pool: ChainPool) -> list[Tensor]:
    return [value.clone() for value in pool.state_dict().values()]


def assert_same(pool: ChainPool, other: ChainPool) -> None:
    for ours, theirs in zip(everything(pool), everything(other), strict=True):
        assert torch.equal(ours, theirs)


def test_a_new_pool(images: Tensor, labels: Tensor) -> None:
    pool = new_pool(images, labels)
    assert len(pool) == 12 and torch.equal(pool.ids, torch.arange(12))
    assert pool.states.dtype == torch.uint8 and pool.states.shape == (12, 1, 8, 8)
    assert torch.equal(pool.states, to_bytes(canvas("uniform", (1, 8, 8), pool.ids, seed=3)))
    hard, soft = pool.condition[:7], pool.condition[7:]
    assert labels[hard.first[:, 0]].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert torch.equal(hard.first, hard.second) and bool((hard.weight == 1).all())
    assert bool(((soft.weight > 0) & (soft.weight < 1)).all()) and len(soft.weight.unique()) == 5


def test_rows_of_class(images: Tensor, labels: Tensor) -> None:
    pool = new_pool(images, labels)
    assert [pool.rows_of_class(label).tolist() for label in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    for label in range(3):
        assert bool((labels[pool.condition.first[pool.rows_of_class(label)]] == label).all())


def test_only_hard_or_only_soft_chains(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    for hard, soft in ((0, 4), (4, 0)):
        pool = new_pool(images, labels, hard=hard, soft=soft)
        before = pool.states.clone()
        pool.evolve(net.float())
        assert len(pool) == 4 and not torch.equal(pool.states, before)
        assert len(pool.rows_of_class(0)) == (2 if hard else 0)
        pool.restart(1.0)
    for hard, soft in ((0, 0), (-1, 3)):
        with pytest.raises(InputError, match=f"hard={hard} and soft={soft}"):
            new_pool(images, labels, hard=hard, soft=soft)


def test_only_restarted_chains_change(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    pool = new_pool(images, labels, hard=20, soft=20)
    pool.evolve(net.float())
    states, condition = pool.states.clone(), pool.condition
    count = pool.restart(0.5)
    coins = noise.uniform((40, 1), seed=3, step=1, stream=noise.Stream.REINIT_COIN)[:, 0] < 0.5
    assert count == int(coins.sum()) and 0 < count < 40
    assert torch.equal(pool.states[~coins], states[~coins])
    fresh = to_bytes(canvas("uniform", (1, 8, 8), pool.ids[coins], seed=3, step=1))
    assert torch.equal(pool.states[coins], fresh)
    for part in ("first", "second", "weight"):
        assert torch.equal(getattr(pool.condition, part)[~coins], getattr(condition, part)[~coins])
    soft = torch.arange(40) >= 20
    assert bool((pool.condition.weight[coins & soft] != condition.weight[coins & soft]).all())
    assert torch.equal(labels[pool.condition.first[:20, 0]], torch.arange(20) % 3), "classes never change"


def test_the_share_that_restarts(images: Tensor, labels: Tensor) -> None:
    pool = new_pool(images, labels, hard=2000, soft=0)
    before = pool.states.clone()
    assert pool.restart(0.0) == 0 and torch.equal(pool.states, before)
    counts = [pool.restart(0.3) for _ in range(5)]
    # Binomial of 10,000 at 0.3: five standard deviations are 5·sqrt(0.21·10,000) = 229.
    assert abs(sum(counts) - 3000) < 229 and len(set(counts)) > 1
    assert pool.restart(1.0) == 2000 and not torch.equal(pool.states, before)


def test_restarts_of_one_chain_differ_between_rounds(images: Tensor, labels: Tensor) -> None:
    pool = new_pool(images, labels)
    seen = [pool.states.clone()]
    for _ in range(3):
        pool.restart(1.0)
        seen.append(pool.states.clone())
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


def test_evolving_is_the_sampler_on_the_chains_conditions(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    net = net.float()
    pool = new_pool(images, labels, normalize="relative")
    x, target = to_unit(pool.states), pool.condition.targets(labels, 3)
    gram = GramRegulariser.from_images(net, pool.condition.references(images), normalize="relative")
    steps: list[int] = []
    trace = pool.evolve(net, batch_size=12, trace_every=1, on_step=lambda _: steps.append(1))
    expected = SAMPLER.run(net, x, target, seed=3, gram=gram, trace_every=1)
    assert torch.equal(pool.states, to_bytes(expected.x)) and trace == expected.trace and len(steps) == 2
    # The next round goes on with the noise of steps 2 and 3.
    second = SAMPLER.run(net, to_unit(pool.states), target, seed=3, gram=gram, first_step=2)
    pool.evolve(net, batch_size=12)
    assert torch.equal(pool.states, to_bytes(second.x)) and pool.steps_done == 4


def test_states_are_kept_exactly_unless_bytes_are_asked_for(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    """Normals reach 6.66, so every move is below 1/255: they add up, or rounded to bytes leave every chain in place."""
    net, small = net.float(), GRMALA(steps=1, eps1=0.0, eps2=0.0, eps3=0.0005)
    pool, rounded = new_pool(images, labels, keep="floats"), new_pool(images, labels)
    for each in (pool, rounded):
        each.recipe = replace(each.recipe, stages=(Stage(small),))
    x = canvas("uniform", (1, 8, 8), pool.ids, seed=3)
    assert pool.states.dtype == torch.float32 and torch.equal(pool.states, x)
    start, stays = x, rounded.states.clone()
    for first_step in range(3):
        x = small.run(net, x, pool.condition.targets(labels, 3), seed=3, first_step=first_step).x
        pool.evolve(net)
        rounded.evolve(net)
    assert torch.equal(pool.states, x) and torch.equal(pool.states_of(pool.ids[2:4]), x[2:4])
    assert torch.equal(rounded.states, stays)
    assert float((x - start).std()) == pytest.approx(0.0005 * 3**0.5, rel=0.1)


def test_the_batch_size_of_evolving_does_not_matter(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    """At most one level in less than a thousandth of the pixels: convolutions round by batch."""
    results = []
    for batch_size in (12, 5, 1):
        pool = new_pool(images, labels)
        pool.evolve(net.float(), batch_size=batch_size)
        results.append(pool.states.int())
    for other in results[1:]:
        difference = (other - results[0]).abs()
        assert int(difference.max()) <= 1 and int((difference > 0).sum()) <= max(1, difference.numel() // 1000)


def test_only_the_first_batch_is_traced(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    trace = new_pool(images, labels).evolve(net.float(), batch_size=4, trace_every=2)
    assert [record.step for record in trace] == [0, 1]


def test_a_saved_pool_goes_on_bit_by_bit(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    net = net.float()

    def go_on(pool: ChainPool) -> None:
        pool.restart(0.5)
        pool.evolve(net)
        pool.restart(0.5)

    pool = new_pool(images, labels)
    pool.restart(0.5)
    pool.evolve(net)
    saved = pool.state_dict()
    copy = {name: value.clone() for name, value in saved.items()}
    go_on(pool)
    assert all(torch.equal(saved[name], copy[name]) for name in saved), "what was saved must not change afterwards"
    other = new_pool(images, labels)
    other.load_state_dict(saved)
    go_on(other)
    assert_same(other, pool)
    assert other.round == pool.round == 3 and other.steps_done == pool.steps_done == 4


def test_a_pool_of_another_shape(images: Tensor, labels: Tensor) -> None:
    saved = new_pool(images, labels).state_dict()
    with pytest.raises(InputError, match="8 hard and 5 soft"):
        new_pool(images, labels, hard=8).load_state_dict(saved)
    with pytest.raises(InputError, match="12 hard and 0 soft"):
        new_pool(images, labels, hard=12, soft=0).load_state_dict(saved)
    with pytest.raises(InputError, match=r"shape \(1, 4, 4\)"):
        new_pool(images[..., :4, :4], labels).load_state_dict(saved)
    with pytest.raises(InputError, match=r"3 reference\(s\)"):
        new_pool(images, labels, references=3).load_state_dict(saved)


def test_several_references_follow_their_chain(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    pool = new_pool(images, labels, references=3)
    before = pool.condition.first
    assert before.shape == (12, 3) and bool((labels[before] == labels[before[:, :1]]).all())
    pool.evolve(net.float())
    pool.restart(0.5)
    changed = (pool.condition.first != before).any(1)
    coins = noise.uniform((12, 1), seed=3, step=1, stream=noise.Stream.REINIT_COIN)[:, 0] < 0.5
    assert bool(changed.any()) and not bool((changed & ~coins).any())
    other = new_pool(images, labels, references=3)
    other.load_state_dict(pool.state_dict())
    assert_same(other, pool)


def test_the_seed_and_the_canvas(images: Tensor, labels: Tensor) -> None:
    assert not torch.equal(new_pool(images, labels, seed=4).states, new_pool(images, labels).states)
    blank = new_pool(images, labels, canvas="blank")
    assert bool((blank.states == 255).all())


def test_a_class_without_images(images: Tensor, labels: Tensor) -> None:
    with pytest.raises(InputError, match="class 3"):
        ChainPool(images, labels, Recipe(SAMPLER), num_classes=4, hard=8, seed=0)


def test_redrawing_begins_some_chains_anew_and_leaves_the_rest(images: Tensor, labels: Tensor, net: WideResNet) -> None:
    net = net.float()
    pool, rows = new_pool(images, labels), torch.tensor([1, 4, 9])
    before, condition = pool.states.clone(), pool.condition
    assert pool.restart(1.0, rows) == 3
    pool.evolve(net, rows=rows)
    others = torch.tensor([row for row in range(12) if row not in rows])
    assert torch.equal(pool.states[others], before[others])
    assert torch.equal(pool.condition.first[others], condition.first[others])
    assert (pool.round, pool.steps_done) == (1, 2)

    start = canvas("uniform", images.shape[1:], rows, seed=3, step=1)
    gram = GramRegulariser.from_images(net, pool.condition[rows].references(images))
    targets = pool.condition[rows].targets(labels, 3)
    expected = SAMPLER.run(net, to_unit(to_bytes(start)), targets, seed=3, gram=gram, chain_ids=rows).x
    assert torch.equal(pool.states[rows], to_bytes(expected))
