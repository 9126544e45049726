# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a score of so many images would scatter were others drawn in their place: standard errors."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from stic_fast.evaluation import FeatureStatistics, frechet_distance

GROUPS = 10  # of images that are left out in turn


class Measured(NamedTuple):
    """A number and how far it would scatter."""

    value: float
    error: float
    """The standard error; NaN where it is unknown."""


def share_with_error(share: float, count: int) -> Measured:
    """A share p of N images."""
    return Measured(share, error_of_share(share, count))


def mean_with_error(values: Tensor) -> Measured:
    """The mean over values (N,)."""
    return Measured(float(values.mean()), error_of_mean(values))


def error_of_share(share: float, count: int) -> float:
    """Of a share p of N images, √(p(1 − p)/N), with p moved by one image towards a half: 0 and 1 are not exact.

    >>> round(error_of_share(0.5, 100), 3), round(error_of_share(1.0, 98), 3)
    (0.05, 0.01)
    """
    share = (share * count + 1) / (count + 2)
    return math.sqrt(share * (1 - share) / count)


def error_of_mean(values: Tensor) -> float:
    """Of a mean over values (N,): their standard deviation over √N; NaN for fewer than two.

    >>> error_of_mean(torch.tensor([0.0, 2.0, 0.0, 2.0])) == math.sqrt(4 / 3) / 2
    True
    """
    return float(values.double().std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def error_of_distance(real: FeatureStatistics, features: Tensor) -> float:
    """Of the Fréchet distance of features (N, D) to the real ones: the jackknife over ten groups (Efron, 1982).

    With θᵢ the distance without group i of g, the square of it is (g − 1)/g Σ(θᵢ − mean θ)². Neighbours in the order of
    the images share a group, so that groups of images that take turns in their classes hold as many of each.

    NaN where a group would be left with fewer than two images.

    >>> features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> 0 < error_of_distance(FeatureStatistics.of(features), features[:40] + 1) < 1
    True
    """
    if len(features) < 2 * GROUPS:
        return math.nan
    groups = [FeatureStatistics.of(group) for group in features.tensor_split(GROUPS)]
    without = [
        functools.reduce(FeatureStatistics.merged, groups[:left_out] + groups[left_out + 1 :])
        for left_out in range(GROUPS)
    ]
    distances = torch.tensor([frechet_distance(real, rest) for rest in without], dtype=torch.float64)
    return float(((GROUPS - 1) * distances.var(correction=0)).sqrt())
