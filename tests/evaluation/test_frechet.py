# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The two distances against closed forms, plain loops, SciPy and torchmetrics."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from stic_fast.errors import InputError
from stic_fast.evaluation import frechet
from stic_fast.evaluation.features import FeatureStatistics
from stic_fast.evaluation.frechet import (
    frechet_distance,
    frechet_distance_of_gaussians,
    kernel_distance,
    kernel_distance_over_subsets,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_features(count: int, length: int, *, seed: int) -> Tensor:
    """Correlated features, of another covariance for another seed."""
    draw = generator(seed)
    mixing = torch.randn(length, length, generator=draw, dtype=torch.float64) / length**0.5
    return torch.randn(count, length, generator=draw, dtype=torch.float64) @ mixing + seed


def distance(real: Tensor, drawn: Tensor) -> float:
    return frechet_distance(FeatureStatistics.of(real), FeatureStatistics.of(drawn))


def test_commuting_gaussians() -> None:
    mean_1, mean_2 = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([3.0, 1.0, -2.0])
    scales_1, scales_2 = torch.tensor([1.0, 4.0, 0.25]), torch.tensor([9.0, 1.0, 0.0])
    expected = 9 + 16 + float((scales_1.sqrt() - scales_2.sqrt()).square().sum())
    got = frechet_distance_of_gaussians(mean_1, scales_1.diag(), mean_2, scales_2.diag())
    assert got == pytest.approx(expected, rel=1e-12)


def test_gaussians_that_do_not_commute() -> None:
    first = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    second = torch.tensor([[1.0, -0.5], [-0.5, 4.0]], dtype=torch.float64)
    product = first @ second
    assert not torch.allclose(product, second @ first)
    # The root of a 2x2 matrix with positive eigenvalues has trace (tr + 2 det^½)^½.
    root_trace = math.sqrt(float(product.trace()) + 2 * math.sqrt(float(torch.linalg.det(product))))
    expected = 5.0 + 5.0 - 2 * root_trace
    zero = torch.zeros(2)
    assert frechet_distance_of_gaussians(zero, first, zero, second) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance_of_gaussians(zero, second, zero, first) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("length", [1, 5, 64])
def test_agrees_with_scipy(length: int) -> None:
    real, drawn = random_features(300, length, seed=1), random_features(200, length, seed=2)
    first, second = (np.cov(part.numpy().T).reshape(length, length) for part in (real, drawn))
    root = scipy.linalg.sqrtm(first @ second).real
    expected = float((real.mean(0) - drawn.mean(0)).square().sum()) + np.trace(first + second - 2 * root)
    assert distance(real, drawn) == pytest.approx(expected, rel=1e-9)


class AsGiven(nn.Module):
    """Hands features on as torchmetrics' feature extractor."""

    num_features = 16

    def forward(self, features: Tensor) -> Tensor:
        return features


def test_agrees_with_torchmetrics() -> None:
    real, drawn = random_features(120, 16, seed=1), random_features(90, 16, seed=2)
    metric = FrechetInceptionDistance(feature=AsGiven())
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    assert distance(real, drawn) == pytest.approx(float(metric.compute()), rel=1e-6)


def test_a_set_is_at_distance_zero_from_itself_also_with_fewer_images_than_features() -> None:
    for count in (2, 10, 39, 40, 41, 200):
        features = random_features(count, 40, seed=3)
        assert distance(features, features) <= 1e-12 * float(FeatureStatistics.of(features).covariance.trace())
        assert distance(features, features + 2) == pytest.approx(160, rel=1e-10)


def test_rank_deficient_covariances() -> None:
    a, b = random_features(2, 30, seed=4)
    zero = torch.zeros(30)
    # One direction each: the root of the product has trace |a·b|.
    expected = float(a @ a + b @ b - 2 * (a @ b).abs())
    got = frechet_distance_of_gaussians(zero, torch.outer(a, a), zero, torch.outer(b, b))
    assert got == pytest.approx(expected, rel=1e-12)
    nothing = torch.zeros(30, 30)
    assert frechet_distance_of_gaussians(a, nothing, b, nothing) == pytest.approx(float((a - b).square().sum()))
    # Covariances of disjoint coordinates, 10 images each: nothing is shared, so the traces alone count.
    left, right = random_features(10, 30, seed=5), random_features(10, 30, seed=6)
    left[:, 15:], right[:, :15] = 0, 0
    means = float((left.mean(0) - right.mean(0)).square().sum())
    traces = sum(float(torch.cov(part.T).trace()) for part in (left, right))
    assert distance(left, right) == pytest.approx(means + traces, rel=1e-12)


def test_what_the_frechet_distance_cannot_use_is_named() -> None:
    two, identity = torch.zeros(2), torch.eye(2)
    with pytest.raises(InputError, match="at least 2 images"):
        distance(torch.ones(1, 2), torch.ones(4, 2))
    with pytest.raises(InputError, match="mean_2"):
        frechet_distance_of_gaussians(two, identity, torch.zeros(3), torch.eye(3))
    with pytest.raises(InputError, match="covariance_1"):
        frechet_distance_of_gaussians(two, torch.eye(3), two, identity)
    with pytest.raises(InputError, match="covariance_2"):
        frechet_distance_of_gaussians(two, identity, two, identity * float("nan"))


def double_loop(real: Tensor, drawn: Tensor) -> float:
    def kernel(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(real), len(drawn)
    among_real = sum(kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    among_drawn = sum(kernel(drawn[i], drawn[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return among_real + among_drawn - 2 * sum(kernel(a, b) for a in real for b in drawn) / (n * m)


@pytest.mark.parametrize("largest_block", [1, 20, 2**24])
def test_kernel_distance_is_the_double_loop_in_any_blocks(largest_block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frechet, "_LARGEST_BLOCK", largest_block)
    real, drawn = random_features(11, 5, seed=1), random_features(7, 5, seed=2)
    assert kernel_distance(real, drawn) == pytest.approx(double_loop(real, drawn), rel=1e-11)
    assert kernel_distance(drawn, real) == pytest.approx(kernel_distance(real, drawn), rel=1e-11)


def test_kernel_distance_of_two_sets_of_one_law_scatters_around_zero() -> None:
    draws = [torch.randn(60, 4, generator=generator(seed)) for seed in range(400)]
    distances = torch.tensor([kernel_distance(a, b) for a, b in zip(draws[::2], draws[1::2], strict=True)])
    error = float(distances.std()) / len(distances) ** 0.5
    assert abs(float(distances.mean())) < 4 * error
    assert (distances < 0).any() and (distances > 0).any()


def test_subsets_agree_with_torchmetrics_which_draws_the_same_from_the_same_seed() -> None:
    real, drawn = random_features(50, 6, seed=1), random_features(40, 6, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says that it keeps all features
        metric = KernelInceptionDistance(feature=AsGiven(), subsets=8, subset_size=20)
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = [float(value) for value in metric.compute()]
    got = kernel_distance_over_subsets(real, drawn, subsets=8, subset_size=20, generator=generator(3))
    assert got == pytest.approx(expected, rel=1e-9)


def test_subsets_draw_from_their_generator_alone() -> None:
    real, drawn = random_features(50, 6, seed=1), random_features(40, 6, seed=2)
    state = torch.get_rng_state()
    runs = [
        kernel_distance_over_subsets(real, drawn, subsets=4, subset_size=20, generator=generator(seed))
        for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert torch.equal(torch.get_rng_state(), state)
    mean, spread = kernel_distance_over_subsets(real[:40], drawn, subsets=3, subset_size=40, generator=generator())
    assert mean == pytest.approx(kernel_distance(real[:40], drawn), rel=1e-9)
    assert spread < 1e-9 * abs(mean)


def test_what_the_kernel_distance_cannot_use_is_named() -> None:
    features = random_features(10, 3, seed=1)
    with pytest.raises(InputError, match="real and drawn"):
        kernel_distance(features, features[:, :2])
    with pytest.raises(InputError, match="drawn"):
        kernel_distance(features, features[:1])
    for size in (1, 11):
        with pytest.raises(InputError, match="subset_size"):
            kernel_distance_over_subsets(features, features, subset_size=size, generator=generator())
    with pytest.raises(InputError, match="subsets"):
        kernel_distance_over_subsets(features, features, subsets=0, subset_size=5, generator=generator())
