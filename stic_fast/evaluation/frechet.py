# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far apart two sets of images lie in a judge's feature space: the Fréchet and the kernel distance.

On Inception features these are FID (Heusel et al., 2017) and KID (Bińkowski et al., 2018); on another judge's they are
neither, and their size means something only beside that of real test images under the same judge and count.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import feature_pair
from stic_fast.evaluation.features import FeatureStatistics
from stic_fast.evaluation.inception_score import mean_and_spread

_LARGEST_BLOCK = 2**24  # kernel values held at a time: 128 MiB


def frechet_distance(real: FeatureStatistics, drawn: FeatureStatistics) -> float:
    """The Fréchet distance between the Gaussians that two sets' features have as mean and covariance.

    It is biased upwards when images are few, strongly so when they are fewer than features: compare equal counts only.

    Args:
        real, drawn: from `read_images` or `FeatureStatistics.of`; two images each at least.

    Raises:
        InputError: fewer than two images in a set, or features of different lengths.

    >>> features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(frechet_distance(FeatureStatistics.of(features), FeatureStatistics.of(features + 3)), 9)
    18.0
    """
    return frechet_distance_of_gaussians(real.mean, real.covariance, drawn.mean, drawn.covariance)


def frechet_distance_of_gaussians(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """‖μ₁ − μ₂‖² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½, the squared 2-Wasserstein distance of two Gaussians.

    With factors Σᵢ = FᵢFᵢᵀ the last trace is the sum of the singular values of F₁ᵀF₂, whose squares are the nonzero
    eigenvalues of the symmetric product. Taken as singular values they need no square root, which would turn rounding
    of 1e-16 at the zero eigenvalues of rank-deficient covariances (N < D) into 1e-8. torchmetrics has the eigenvalues
    of the unsymmetric Σ₁Σ₂, and sums raw squares in a covariance that no chunked run could combine exactly.

    Args:
        mean_1, mean_2: (D,).
        covariance_1, covariance_2: (D, D), symmetric and positive semi-definite; computed in float64.

    Returns:
        The distance, at least 0.

    Raises:
        InputError: shapes that do not fit, or values that are not finite.

    >>> identity = torch.eye(2)
    >>> round(frechet_distance_of_gaussians(torch.zeros(2), identity, torch.ones(2), 4 * identity), 9)
    4.0
    """
    size = mean_1.numel()
    given = {"mean_1": mean_1, "mean_2": mean_2, "covariance_1": covariance_1, "covariance_2": covariance_2}
    for name, value in given.items():
        shape = (size,) if name.startswith("mean") else (size, size)
        if tuple(value.shape) != shape:
            raise InputError(
                f"{name} must have shape {shape} like the other Gaussian's, got {tuple(value.shape)}; "
                "read both sets with one judge"
            )
        if not value.isfinite().all():
            raise InputError(f"{name} holds NaN or infinity; check the judge")
    means = (mean_1.double() - mean_2.double()).square().sum()
    traces = covariance_1.double().trace() + covariance_2.double().trace()
    overlap = torch.linalg.svdvals(_factor(covariance_1.double()).T @ _factor(covariance_2.double())).sum()
    return max(0.0, float(means + traces - 2 * overlap))


def kernel_distance(real: Tensor, drawn: Tensor) -> float:
    """The squared maximum mean discrepancy under k(a, b) = (a·b/D + 1)³, unbiased, over all the features at once.

    MMD² = Σ_{i≠j} k(xᵢ, xⱼ)/(N(N−1)) + Σ_{i≠j} k(yᵢ, yⱼ)/(M(M−1)) − 2 Σ_{ij} k(xᵢ, yⱼ)/(NM). Unlike the Fréchet
    distance it has no bias from small counts; being unbiased it may fall below 0. Kernel values are summed in blocks,
    so the memory does not grow with N·M. torchmetrics offers subsets only; `kernel_distance_over_subsets` is its form.

    Args:
        real: (N, D), N ≥ 2.
        drawn: (M, D), M ≥ 2; M may differ from N.

    Raises:
        InputError: fewer than two rows, lengths that differ, or values that are not finite.

    >>> kernel_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [2.0]]))  # 1 + 125 − 2 (1 + 27)/2
    98.0
    """
    return _squared_discrepancy(*feature_pair(real, drawn, least=2))


def kernel_distance_over_subsets(
    real: Tensor, drawn: Tensor, *, subsets: int = 100, subset_size: int = 1000, generator: torch.Generator
) -> tuple[float, float]:
    """The mean and spread of `kernel_distance` over random subsets, as KID is reported.

    Each subset has `subset_size` real and as many drawn features, without repetition. The spread is the standard
    deviation over the subsets (divided by their number), not an error of the mean. torchmetrics draws from the global
    generator and sums in float32, so this is our own; at one generator state both draw the same subsets.

    Args:
        real: (N, D), N ≥ subset_size.
        drawn: (M, D), M ≥ subset_size.
        subsets: how many.
        subset_size: features of either kind in each, at least 2.
        generator: a CPU generator; the subsets are drawn from it.

    Raises:
        InputError: subset_size is below 2 or above N or M, subsets is below 1, or the features are bad.

    >>> features = torch.arange(20.0).view(10, 2)
    >>> mean, spread = kernel_distance_over_subsets(
    ...     features, features + 30, subsets=3, subset_size=5, generator=torch.Generator().manual_seed(0)
    ... )
    >>> mean > spread > 0
    True
    """
    real, drawn = feature_pair(real, drawn, least=2)
    check_count("subsets", subsets)
    check_count("subset_size", subset_size, least=2, most=min(len(real), len(drawn)), why="the number of images")

    def some(features: Tensor) -> Tensor:
        return features[torch.randperm(len(features), generator=generator)[:subset_size]]

    distances = [_squared_discrepancy(some(real), some(drawn)) for _ in range(subsets)]
    return mean_and_spread(distances)


def _factor(covariance: Tensor) -> Tensor:
    """F (D, rank) with F Fᵀ = covariance; eigenvalues within rounding of zero are left out, negative ones with them."""
    eigenvalues, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    kept = eigenvalues > len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps * eigenvalues.abs().max()
    factor: Tensor = vectors[:, kept] * eigenvalues[kept].sqrt()
    return factor


def _squared_discrepancy(real: Tensor, drawn: Tensor) -> float:
    n, m, length = len(real), len(drawn), real.shape[1]

    def kernels(products: Tensor) -> float:
        return float(products.div_(length).add_(1).pow_(3).sum())

    def all_pairs(left: Tensor, right: Tensor) -> float:
        size = max(1, _LARGEST_BLOCK // len(right))
        return math.fsum(kernels(rows @ right.T) for rows in torch.split(left, size))

    among_real = all_pairs(real, real) - kernels(real.square().sum(1))
    among_drawn = all_pairs(drawn, drawn) - kernels(drawn.square().sum(1))
    return among_real / (n * (n - 1)) + among_drawn / (m * (m - 1)) - 2 * all_pairs(real, drawn) / (n * m)
