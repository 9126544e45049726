# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The law of the noise: ten million normals and uniforms, and independence of different addresses.

The addresses are fixed, so every statistic here is one number and no test can fail by chance. Bounds are five standard
deviations of the statistic under the law it should have.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from stic_fast.ops import noise

N = 10**7
CHAINS = 10


@pytest.fixture(scope="module")
def normals() -> Tensor:
    return noise.normal((CHAINS, N // CHAINS), seed=2021).double()


@pytest.fixture(scope="module")
def uniforms() -> Tensor:
    return noise.uniform((CHAINS, N // CHAINS), seed=2021)


@pytest.mark.parametrize("power", [1, 2, 3, 4, 5, 6])
def test_moments_of_the_normals(normals: Tensor, power: int) -> None:
    # E z^k is (k − 1)!! for even k and 0 for odd; the mean of N such powers deviates by √((E z^2k − (E z^k)²)/N).
    expected = 0 if power % 2 else math.prod(range(power - 1, 0, -2))
    deviation = math.sqrt((math.prod(range(2 * power - 1, 0, -2)) - expected**2) / N)
    assert abs(float(normals.pow(power).mean()) - expected) < 5 * deviation


def test_normals_pass_kolmogorov_smirnov(normals: Tensor) -> None:
    ordered = normals.flatten().sort().values
    below = torch.special.ndtr(ordered)
    rank = torch.arange(N, dtype=torch.float64)
    distance = float(torch.maximum((rank + 1) / N - below, below - rank / N).max())
    assert stats.kstwobign.sf(distance * math.sqrt(N)) > 1e-3


@pytest.mark.parametrize("edge", [1.0, 2.0, 3.0, 4.0, 4.5])
def test_tails_of_the_normals(normals: Tensor, edge: float) -> None:
    probability = math.erfc(edge / math.sqrt(2)) / 2
    for beyond in (normals > edge, normals < -edge):
        deviation = math.sqrt(N * probability * (1 - probability))
        assert abs(int(beyond.sum()) - N * probability) < 5 * deviation


def test_no_normal_is_beyond_what_32_bits_can_reach(normals: Tensor) -> None:
    assert 4.9 < float(normals.abs().max()) <= math.sqrt(2 * 32 * math.log(2)) + 1e-6


def test_uniforms_pass_chi_square(uniforms: Tensor) -> None:
    assert float(uniforms.min()) >= 0 and float(uniforms.max()) < 1
    integers = (uniforms.flatten().double() * 2**24).long()
    assert torch.equal(integers.double() * 2**-24, uniforms.flatten().double())
    for bins in (integers >> 14, integers & 0x3FF):  # the upper and the lower ten of 24 bits
        p_value = stats.chisquare(bins.bincount(minlength=1024).numpy()).pvalue
        assert 1e-3 < p_value < 1 - 1e-3


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 5, 8, 64])
def test_neighbours_in_a_chain_are_independent(normals: Tensor, lag: int) -> None:
    ahead, behind = normals[:, lag:], normals[:, :-lag]
    count = ahead.numel()
    assert abs(float((ahead * behind).mean())) < 5 / math.sqrt(count)
    # Squares show a shared radius or a shared angle: z² − 1 has variance 2.
    assert abs(float(((ahead**2 - 1) * (behind**2 - 1)).mean())) < 5 * 2 / math.sqrt(count)


ADDRESS: dict[str, Any] = {"seed": 1000, "step": 50, "chain_ids": torch.tensor([7]), "stream": 2}


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1001},
        {"seed": 1000 + 2**32},
        {"seed": 1000 + 2**63},
        {"step": 51},
        {"step": 50 + 2**31},
        {"chain_ids": torch.tensor([8])},
        {"chain_ids": torch.tensor([7 + 2**31])},
        {"stream": 3},
        {"step": 7, "chain_ids": torch.tensor([50])},
        {"step": 2, "stream": 50},
    ],
    ids=str,
)
def test_other_addresses_are_uncorrelated(changed: dict[str, Any]) -> None:
    count = 10**5
    here, there = (noise.normal((1, count), **where).double() for where in (ADDRESS, ADDRESS | changed))
    assert abs(float((here * there).mean())) < 5 / math.sqrt(count)
    assert abs(float(((here**2 - 1) * (there**2 - 1)).mean())) < 5 * 2 / math.sqrt(count)
    for shift in (1, 2, 4):
        assert abs(float((here[:, shift:] * there[:, :-shift]).mean())) < 5 / math.sqrt(count - shift)


def test_the_next_step_is_not_the_next_seed() -> None:
    # What `seed + step` as a seed would give: the noise of one run again in its neighbour, one step later.
    later = noise.normal((3, 1000), seed=41, step=1)
    neighbour = noise.normal((3, 1000), seed=42, step=0)
    assert int((later == neighbour).sum()) == 0
    assert abs(float((later * neighbour).mean())) < 5 / math.sqrt(3000)
