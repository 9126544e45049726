# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""MALA reaches laws that are known; its uncorrected relative misses them by the amount that theory gives.

Every bound is SIGMAS standard deviations of the estimate over independent chains.
"""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.sampling import MALA

SIGMAS = 5.0
CHAINS = 20_000


def standard_normal(x: Tensor) -> Tensor:
    return -x.square().sum(1) / 2


def assert_mean(values: Tensor, expected: float) -> None:
    error = float(values.mean()) - expected
    assert abs(error) < SIGMAS * float(values.std()) / math.sqrt(len(values)), f"off by {error}"


def assert_normal_variance(values: Tensor, expected: float) -> None:
    """Of n normals, the sample variance has the standard deviation sqrt(2 / n) times the variance."""
    error = float(values.var()) / expected - 1
    assert abs(error) < SIGMAS * math.sqrt(2 / len(values)), f"off by {error:.3f} of it"


def test_a_correlated_gaussian() -> None:
    mean = torch.tensor([1.0, -0.5])
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]])
    precision = torch.linalg.inv(covariance)

    def log_density(x: Tensor) -> Tensor:
        return -((x - mean) @ precision * (x - mean)).sum(1) / 2

    result = MALA(steps=150, eps1=0.15).run(log_density, torch.zeros(CHAINS, 2), seed=1)
    for axis in range(2):
        assert_mean(result.x[:, axis], mean[axis].item())
        assert_normal_variance(result.x[:, axis], covariance[axis, axis].item())
    # For normals, the products of deviations have variance s11 s22 + s12^2 around s12.
    products = (result.x - mean).prod(1)
    spread = math.sqrt((1.0 * 0.5 + 0.6**2) / CHAINS)
    assert abs(products.mean() - 0.6) < SIGMAS * spread


def test_two_modes_get_their_weights() -> None:
    weights, centres, width = torch.tensor([0.75, 0.25]), torch.tensor([-1.5, 1.5]), 0.6

    def log_density(x: Tensor) -> Tensor:
        return torch.logsumexp(weights.log() - (x - centres).square() / (2 * width**2), 1)

    # All begin in the light mode; three in four have to cross.
    result = MALA(steps=500, eps1=0.3).run(log_density, torch.full((4000, 1), 1.5), seed=2)
    x = result.x[:, 0]
    crossed = stats.norm.cdf(0, centres.numpy(), width)
    left = float((weights.numpy() * crossed).sum())
    assert_mean((x < 0).float(), left)
    assert_mean(x, float((weights * centres).sum()))
    second_moment = float((weights * (centres.square() + width**2)).sum())
    assert_mean(x.square(), second_moment)


def test_without_the_correction_a_large_step_is_biased() -> None:
    """x' = (1 − ε)x + √(2ε)ξ has the stationary variance v = (1 − ε)²v + 2ε, so v = 1 / (1 − ε/2)."""
    step = 0.5
    biased = 1 / (1 - step / 2)
    start = torch.zeros(CHAINS, 1)
    plain = MALA(steps=60, eps1=step, correct=False).run(standard_normal, start, seed=3)
    corrected = MALA(steps=60, eps1=step).run(standard_normal, start, seed=3)
    assert_normal_variance(plain.x[:, 0], biased)
    assert_normal_variance(corrected.x[:, 0], 1.0)
    assert SIGMAS * math.sqrt(2 / CHAINS) < (biased - 1) / 4, "the two must be told apart"
    assert bool((plain.acceptance == 1).all())


@pytest.mark.parametrize(("eps1", "eps3"), [(0.1, 1.2), (0.6, 0.5), (0.0, 1.5)])
def test_any_pair_of_step_sizes_leaves_the_law_alone(eps1: float, eps3: float) -> None:
    start = torch.randn((CHAINS, 1), generator=torch.Generator().manual_seed(0))
    result = MALA(steps=60, eps1=eps1, eps3=eps3).run(standard_normal, start, seed=4)
    assert float(result.acceptance.mean()) > 0.3, "the chains must move"
    assert_mean(result.x[:, 0], 0.0)
    assert_normal_variance(result.x[:, 0], 1.0)
    free = MALA(steps=60, eps1=eps1, eps3=eps3, correct=False).run(standard_normal, start, seed=4)
    assert abs(float(free.x.var()) - 1) > 0.2, "these steps must be biased by themselves"


def test_support_keeps_chains_inside_and_the_law_truncated() -> None:
    low, high = 0.25, 2.0
    law = stats.truncnorm(low, high)
    seen: list[Tensor] = []
    sampler = MALA(steps=150, eps1=0.15, support=(low, high))
    result = sampler.run(standard_normal, torch.ones(CHAINS, 1), seed=6, on_step=lambda state: seen.append(state.x))
    inside = torch.stack(seen)
    assert low <= float(inside.min()) and float(inside.max()) <= high
    assert_mean(result.x[:, 0], law.mean())
    assert_mean((result.x[:, 0] - law.mean()).square(), law.var())
    assert stats.kstest(result.x[:, 0].double().numpy(), law.cdf).pvalue > 1e-6


def test_acceptance_counts_the_moves_of_each_chain() -> None:
    start = torch.linspace(-2, 2, 50)[:, None]
    states = [start]
    result = MALA(steps=40, eps1=0.8).run(standard_normal, start, seed=7, on_step=lambda state: states.append(state.x))
    moved = torch.stack([(b != a).any(1) for a, b in itertools.pairwise(states)])
    assert len(states) == 41 and result.acceptance.shape == (50,)
    torch.testing.assert_close(result.acceptance, moved.float().mean(0))
    assert bool((result.acceptance > 0).all()) and float(result.acceptance.mean()) < 1
    assert len(result.acceptance.unique()) > 3


def test_acceptance_falls_as_the_step_grows() -> None:
    start = torch.zeros(2000, 5)
    rates = [float(MALA(steps=20, eps1=eps).run(standard_normal, start, seed=8).acceptance.mean()) for eps in (0.1, 1)]
    assert 0.95 < rates[0] < 1 and rates[1] < rates[0] - 0.2


def test_chains_do_not_know_their_batch() -> None:
    sampler, ids = MALA(steps=25, eps1=0.5), torch.tensor([9, 4, 17, 2, 30])
    start = torch.linspace(-1, 1, 10).view(5, 2)
    whole = sampler.run(standard_normal, start, seed=9, chain_ids=ids)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = sampler.run(standard_normal, start[order], seed=9, chain_ids=ids[order])
    assert torch.equal(shuffled.x, whole.x[order])
    assert torch.equal(shuffled.acceptance, whole.acceptance[order])
    parts = [sampler.run(standard_normal, start[r], seed=9, chain_ids=ids[r]).x for r in (slice(0, 2), slice(2, 5))]
    assert torch.equal(torch.cat(parts), whole.x)


def test_going_on_equals_one_longer_run() -> None:
    start = torch.zeros(20, 3)
    whole = MALA(steps=9, eps1=0.5).run(standard_normal, start, seed=10).x
    first = MALA(steps=4, eps1=0.5).run(standard_normal, start, seed=10).x
    rest = MALA(steps=5, eps1=0.5).run(standard_normal, first, seed=10, first_step=4).x
    assert torch.equal(rest, whole) and bool((start == 0).all())


def test_images_and_float64() -> None:
    start = torch.zeros((3, 1, 4, 4), dtype=torch.float64)
    result = MALA(steps=5, eps1=0.2).run(lambda x: -x.square().flatten(1).sum(1) / 2, start, seed=11)
    assert result.x.shape == start.shape and result.x.dtype == torch.float64 and bool((result.x != 0).any())


def test_no_graph_remains() -> None:
    start = torch.zeros(4, 2, requires_grad=True)
    for sampler in (MALA(steps=3, eps1=0.3), MALA(steps=3, eps1=0.3, correct=False)):
        with torch.no_grad():
            quiet = sampler.run(standard_normal, start, seed=12).x
        result = sampler.run(standard_normal, start, seed=12).x
        assert not result.requires_grad and torch.equal(result, quiet)
    assert start.grad is None


def test_starts_where_there_is_no_density() -> None:
    start = torch.tensor([[1.0], [-1.0], [2.0]])
    with pytest.raises(InputError, match=r"log p .*chain 1"):
        MALA(steps=2, eps1=0.1).run(lambda x: x.log().sum(1), start, seed=0)
    with pytest.raises(InputError, match=r"log p .*chain 0"):
        MALA(steps=2, eps1=0.1).run(lambda x: (x - 1).abs().log().sum(1), start, seed=0)
    with pytest.raises(InputError, match=r"gradient of log p is not finite where chain 1 starts"):
        MALA(steps=2, eps1=0.1).run(lambda x: (x + 1).abs().sqrt().sum(1), start, seed=0)
    with pytest.raises(InputError, match=r"chain 2 .*support"):
        MALA(steps=2, eps1=0.1, support=(-1.5, 1.5)).run(standard_normal, start, seed=0)


def test_a_density_that_ends_rejects_what_leaves_it() -> None:
    """log x is NaN below zero: the correction must take such proposals as impossible (x·e^{-x²/2}, Rayleigh)."""
    result = MALA(steps=150, eps1=0.2).run(lambda x: (x.log() - x.square() / 2).sum(1), torch.ones(CHAINS, 1), seed=13)
    assert float(result.x.min()) > 0
    assert_mean(result.x[:, 0], math.sqrt(math.pi / 2))
    assert_mean(result.x[:, 0].square(), 2.0)


def test_support_needs_the_correction() -> None:
    with pytest.raises(InputError, match="correct=True"):
        MALA(steps=1, eps1=0.1, correct=False, support=(0, 1)).run(standard_normal, torch.zeros(1, 1), seed=0)


def test_no_steps_and_no_chains() -> None:
    start = torch.ones(3, 2)
    result = MALA(steps=0, eps1=0.1).run(standard_normal, start, seed=0)
    assert torch.equal(result.x, start)
    assert MALA(steps=2, eps1=0.1).run(standard_normal, start[:0], seed=0).x.shape == (0, 2)
