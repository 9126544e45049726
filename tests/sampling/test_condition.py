# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Conditions: targets and references of one mixture, and draws whose law is the one asked for."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.sampling import Condition, draw_hard, draw_soft, interpolate

SURE = 1e-6  # chance that a correct draw fails a test here


def is_uniform(rows: Tensor, cells: int) -> bool:
    """The chi-square test of equal counts."""
    counts = torch.bincount(rows, minlength=cells).double()
    expected = len(rows) / cells
    return float((counts - expected).square().sum() / expected) < stats.chi2.ppf(1 - SURE, cells - 1)


def test_targets_and_references_are_one_mixture(images: Tensor, labels: Tensor) -> None:
    condition = Condition(torch.tensor([[0], [3], [5]]), torch.tensor([[2], [1], [5]]), torch.tensor([0.25, 0.5, 1.0]))
    # Rows 0, 2 have the labels 1, 0; rows 3, 1 both have 2; row 5 has 0.
    expected = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(condition.targets(labels, 3), expected)
    unit = images.double() / 127.5 - 1
    mixed = torch.stack([0.25 * unit[0] + 0.75 * unit[2], 0.5 * unit[3] + 0.5 * unit[1], unit[5]])
    references = condition.references(images)[:, 0]
    assert references.dtype == torch.float32
    torch.testing.assert_close(references.double(), mixed, rtol=0, atol=1e-6)


def test_parts_and_replacements() -> None:
    old = Condition(torch.tensor([[0], [1], [2]]), torch.tensor([[3], [4], [5]]), torch.tensor([0.1, 0.2, 0.3]))
    new = Condition(torch.tensor([[6], [8]]), torch.tensor([[9], [11]]), torch.tensor([0.4, 0.6]))
    mixed = old.replaced(torch.tensor([0, 2]), new)
    assert mixed.first.tolist() == [[6], [1], [8]] and mixed.second.tolist() == [[9], [4], [11]]
    torch.testing.assert_close(mixed.weight, torch.tensor([0.4, 0.2, 0.6]))
    assert len(old[1:]) == 2 and old[torch.tensor([2, 0])].first.tolist() == [[2], [0]]


def test_hard_draws_are_uniform_within_the_class(labels: Tensor) -> None:
    members = torch.tensor([1, 3, 6, 9, 11])  # of class 2
    drawn = draw_hard(labels, torch.full((5000,), 2), torch.arange(5000), seed=3)
    assert torch.equal(drawn.first, drawn.second) and bool((drawn.weight == 1).all())
    assert bool((labels[drawn.first] == 2).all())
    assert is_uniform(torch.searchsorted(members, drawn.first[:, 0].contiguous()), 5)


def test_hard_draws_follow_the_asked_classes_and_the_address(labels: Tensor) -> None:
    classes = torch.tensor([2, 0, 1, 0, 2, 1] * 20)
    ids = torch.arange(120)
    drawn = draw_hard(labels, classes, ids, seed=3)
    assert torch.equal(labels[drawn.first[:, 0]], classes)
    assert torch.equal(draw_hard(labels, classes[7:9], ids[7:9], seed=3).first, drawn.first[7:9])
    for address in ({"seed": 4}, {"seed": 3, "step": 1}):
        assert not torch.equal(draw_hard(labels, classes, ids, **address).first, drawn.first)


@pytest.mark.parametrize("wanted", [1, 5, -1])
def test_a_class_without_images(wanted: int) -> None:
    with pytest.raises(InputError, match=f"class {wanted}"):
        draw_hard(torch.tensor([0, 2, 2]), torch.tensor([0, wanted, 2]), torch.arange(3), seed=0)


def test_no_chains_no_draws() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert len(draw_hard(torch.tensor([0, 1]), nothing, nothing, seed=0)) == 0
    assert len(draw_soft(torch.tensor([0, 1]), nothing, alpha=1.0, seed=0)) == 0


@pytest.mark.parametrize("alpha", [1.0, 0.4])
def test_soft_draws_have_uniform_rows_and_a_beta_weight(labels: Tensor, alpha: float) -> None:
    drawn = draw_soft(labels, torch.arange(6000), alpha=alpha, seed=5)
    first, second = drawn.first[:, 0], drawn.second[:, 0]
    assert is_uniform(first, 12) and is_uniform(second, 12)
    assert is_uniform(first * 12 + second, 144)
    together = torch.corrcoef(torch.stack([first.float(), second.float(), drawn.weight]))
    assert float(together.fill_diagonal_(0).abs().max()) < 5 / 6000**0.5, "rows and weight are independent"
    assert stats.kstest(drawn.weight.double().numpy(), stats.beta(alpha, alpha).cdf).pvalue > SURE


def test_interpolation_goes_path_by_path(labels: Tensor) -> None:
    path = interpolate(labels, 0, 2, 4, [0.0, 0.25, 1.0], seed=9)
    assert len(path) == 12
    first, second = path.first.view(4, 3), path.second.view(4, 3)
    assert bool((first == first[:, :1]).all()) and bool((second == second[:, :1]).all())
    assert bool((labels[path.first] == 0).all()) and bool((labels[path.second] == 2).all())
    torch.testing.assert_close(path.weight.view(4, 3), torch.tensor([1.0, 0.75, 0.0]).expand(4, 3))
    torch.testing.assert_close(path.targets(labels, 3)[1], torch.tensor([0.75, 0.0, 0.25]))
    assert len({tuple(pair) for pair in zip(first[:, 0].tolist(), second[:, 0].tolist(), strict=True)}) > 1


def test_several_references_share_a_class_and_the_first_is_as_uniform_as_alone(labels: Tensor) -> None:
    ids = torch.arange(2000)
    hard = draw_hard(labels, ids % 3, ids, references=3, seed=3)
    assert hard.first.shape == (2000, 3) and bool((labels[hard.first] == (ids % 3)[:, None]).all())
    assert not torch.equal(hard.first[:, 0], hard.first[:, 1])
    soft = draw_soft(labels, ids, alpha=1.0, references=3, seed=3)
    for rows in (soft.first, soft.second):
        assert is_uniform(rows[:, 0].contiguous(), 12)
        assert bool((labels[rows] == labels[rows[:, :1]]).all())
    with pytest.raises(InputError, match="references=0"):
        draw_hard(labels, ids % 3, ids, references=0, seed=3)
