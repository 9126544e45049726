# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Quality and variety apart: precision, recall, density and coverage from nearest neighbours in a feature space.

A set's manifold is the union of one ball per feature, which reaches to its k-th nearest neighbour in the same set.
STIC's figure 5 shows precision and recall (Kynkäänniemi et al., 2019) of several models, and over k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import feature_pair


@dataclass(frozen=True)
class ManifoldScores:
    """The four scores at one k."""

    k: int
    precision: float  # the share of drawn features inside some real ball
    recall: float  # the share of real features inside some drawn ball
    density: float  # the number of real balls around a drawn feature, divided by k, on average; may exceed 1
    coverage: float  # the share of real balls that hold a drawn feature


def manifold_scores(
    real: Tensor, drawn: Tensor, ks: Sequence[int] = (3, 5), *, block_size: int = 1000
) -> tuple[ManifoldScores, ...]:
    """Precision, recall, density and coverage at every k asked for, from one pass over the distances.

    With Bₖ(x) the closed ball around x to its k-th nearest neighbour in x's own set, x itself not counted, N real
    features xᵢ and M drawn features yⱼ:
        precision = 1/M Σⱼ 1[yⱼ ∈ ∪ᵢ Bₖ(xᵢ)]      recall   = 1/N Σᵢ 1[xᵢ ∈ ∪ⱼ Bₖ(yⱼ)]   (Kynkäänniemi et al., eq. 2)
        density = 1/(kM) Σⱼ Σᵢ 1[yⱼ ∈ Bₖ(xᵢ)]     coverage = 1/N Σᵢ 1[∃j: yⱼ ∈ Bₖ(xᵢ)]   (Naeem et al., 2020)
    The papers take k = 3 for precision and recall, 5 for density and coverage, and about equal counts N and M. A set
    against itself has precision, recall and coverage 1 and density (k + 1)/k, for each ball then also holds its centre.

    Distances are summed differences in float64, not ‖a‖² + ‖b‖² − 2a·b, so ties fall the same way whatever the block
    size. The memory is block_size·max(N, M) distances; 10,000 against 10,000 of length 64 take some ten seconds of one
    core, in proportion to the length.

    Args:
        real: (N, D), of real images.
        drawn: (M, D), of drawn images.
        ks: the numbers of neighbours, each from 1 to min(N, M) − 1.
        block_size: features whose distances to all others are held at a time.

    Returns:
        One `ManifoldScores` per k, in the order asked.

    Raises:
        InputError: a k out of range, none at all, or features that are no finite matrices of one length.

    >>> real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> manifold_scores(real, torch.tensor([[0.4], [0.6], [0.9]]), ks=[1])
    (ManifoldScores(k=1, precision=1.0, recall=0.25, density=2.0, coverage=0.5),)
    """
    real, drawn = feature_pair(real, drawn, least=2)
    largest = min(len(real), len(drawn)) - 1
    for k in ks or [0]:
        check_count("ks", k, most=largest, why="one less than the images of the smaller set")
    check_count("block_size", block_size)
    real_radii, drawn_radii = _radii(real, ks, block_size), _radii(drawn, ks, block_size)
    drawn_inside = torch.zeros(len(ks), len(drawn), dtype=torch.bool)
    counts = torch.zeros(len(ks), 3, dtype=torch.int64)
    for part, all_radii in zip(torch.split(real, block_size), torch.split(real_radii, block_size, dim=1), strict=True):
        distances = _distances(part, drawn)  # (B, M)
        for row, radii in enumerate(all_radii):
            inside_real = distances <= radii.unsqueeze(1)
            drawn_inside[row] |= inside_real.any(0)
            recalled = (distances <= drawn_radii[row]).any(1).sum()
            counts[row] += torch.stack([recalled, inside_real.sum(), inside_real.any(1).sum()])
    scores = []
    for k, inside, row in zip(ks, drawn_inside, counts.tolist(), strict=True):
        recall, density, coverage = row[0] / len(real), row[1] / (k * len(drawn)), row[2] / len(real)
        scores.append(ManifoldScores(k, int(inside.sum()) / len(drawn), recall, density, coverage))
    return tuple(scores)


def _radii(features: Tensor, ks: Sequence[int], block_size: int) -> Tensor:
    """The distance from each feature to its k-th nearest other one: (len(ks), N)."""
    parts = []
    for rows in torch.split(torch.arange(len(features)), block_size):
        distances = _distances(features[rows], features)
        distances[torch.arange(len(rows)), rows] = torch.inf
        nearest = distances.topk(max(ks), dim=1, largest=False, sorted=True).values
        parts.append(nearest[:, [k - 1 for k in ks]].T)
    return torch.cat(parts, dim=1)


def _distances(left: Tensor, right: Tensor) -> Tensor:
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
