# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Precision, recall, density and coverage against plain loops and geometries whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.evaluation.manifold import ManifoldScores, manifold_scores

pytestmark = pytest.mark.usefixtures("one_thread")


def plain(real: Tensor, drawn: Tensor, k: int) -> ManifoldScores:
    """The papers' definitions, word by word."""
    x, y = real.double().numpy(), drawn.double().numpy()

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(float(np.sqrt(((points[i] - points[j]) ** 2).sum())) for j in range(len(points)) if j != i)[k - 1]

    radii_x, radii_y = [radius(x, i) for i in range(len(x))], [radius(y, j) for j in range(len(y))]
    apart = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in y] for a in x])
    in_real = np.array([[apart[i, j] <= radii_x[i] for j in range(len(y))] for i in range(len(x))])
    in_drawn = np.array([[apart[i, j] <= radii_y[j] for j in range(len(y))] for i in range(len(x))])
    return ManifoldScores(
        k=k,
        precision=float(in_real.any(0).mean()),
        recall=float(in_drawn.any(1).mean()),
        density=float(in_real.sum() / (k * len(y))),
        coverage=float(in_real.any(1).mean()),
    )


def points(count: int, length: int, *, seed: int, centre: float = 0.0) -> Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed)) + centre


@pytest.mark.parametrize(("n", "m"), [(30, 30), (40, 17), (12, 33)])
@pytest.mark.parametrize("length", [1, 3, 20])
def test_agrees_with_plain_loops(n: int, m: int, length: int) -> None:
    real, drawn = points(n, length, seed=1), points(m, length, seed=2, centre=0.4)
    ks = [1, 3, 5, 11]
    for got, k in zip(manifold_scores(real, drawn, ks), ks, strict=True):
        expected = plain(real, drawn, k)
        assert got.k == k
        assert vars(got) == pytest.approx(vars(expected), abs=1e-12)


def test_ties_on_a_grid_fall_alike_in_every_block_size() -> None:
    draw = torch.Generator().manual_seed(4)
    real = torch.randint(0, 4, (60, 3), generator=draw).float()  # many points coincide, most distances tie
    drawn = torch.randint(0, 4, (50, 3), generator=draw).float()
    expected = [plain(real, drawn, k) for k in (1, 4)]
    for block_size in (1, 7, 50, 1000):
        got = manifold_scores(real, drawn, [1, 4], block_size=block_size)
        for one, other in zip(got, expected, strict=True):
            assert vars(one) == pytest.approx(vars(other), abs=1e-12)


def test_block_size_changes_nothing() -> None:
    real, drawn = points(90, 33, seed=1, centre=50), points(80, 33, seed=2, centre=50)
    whole = manifold_scores(real, torch.cat([drawn, real[:20]]), [1, 2, 5])
    for block_size in (1, 13, 64):
        assert manifold_scores(real, torch.cat([drawn, real[:20]]), [1, 2, 5], block_size=block_size) == whole


@pytest.mark.parametrize("k", [1, 3, 8])
def test_a_set_against_itself(k: int) -> None:
    same = points(50, 10, seed=3)
    (scores,) = manifold_scores(same, same.clone(), [k])
    assert (scores.precision, scores.recall, scores.coverage) == (1, 1, 1)
    assert scores.density == pytest.approx((k + 1) / k, rel=1e-12)


def test_sets_far_apart_score_nothing() -> None:
    (scores,) = manifold_scores(points(30, 4, seed=1), points(30, 4, seed=2, centre=100), [3])
    assert (scores.precision, scores.recall, scores.density, scores.coverage) == (0, 0, 0, 0)


def test_half_of_the_modes_is_precise_and_recalls_half() -> None:
    left, right = points(40, 2, seed=1), points(40, 2, seed=2, centre=1000)
    (scores,) = manifold_scores(torch.cat([left, right]), left, [3])
    assert (scores.precision, scores.recall, scores.coverage) == (1, 0.5, 0.5)
    (swapped,) = manifold_scores(left, torch.cat([left, right]), [3])
    assert (swapped.precision, swapped.recall, swapped.coverage) == (0.5, 1, 1)


def test_precision_and_recall_change_places_with_the_sets_and_grow_with_k() -> None:
    real, drawn = points(60, 5, seed=1), points(60, 5, seed=2, centre=0.8)
    sweep = manifold_scores(real, drawn, range(1, 20))
    swapped = manifold_scores(drawn, real, range(1, 20))
    assert [scores.precision for scores in sweep] == [scores.recall for scores in swapped]
    for name in ("precision", "recall", "coverage"):
        values = [getattr(scores, name) for scores in sweep]
        assert values == sorted(values)
        assert values[0] < values[-1]


def test_what_cannot_be_scored_is_named() -> None:
    real, drawn = points(10, 3, seed=1), points(6, 3, seed=2)
    for ks in ([], [0], [6], [3, -1]):
        with pytest.raises(InputError, match="ks must be from 1 to 5"):
            manifold_scores(real, drawn, ks)
    with pytest.raises(InputError, match="real and drawn"):
        manifold_scores(real, drawn[:, :2])
    with pytest.raises(InputError, match="drawn"):
        manifold_scores(real, drawn[:1])
    with pytest.raises(InputError, match=r"real .*NaN"):
        manifold_scores(real * float("nan"), drawn)
    with pytest.raises(InputError, match="block_size"):
        manifold_scores(real, drawn, block_size=0)
