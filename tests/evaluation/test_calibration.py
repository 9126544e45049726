# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Calibration numbers agree with a plain loop, with torchmetrics and scikit-learn, and leave the fake class out."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor
from torchmetrics.functional.classification import multiclass_calibration_error

from stic_fast.errors import InputError
from stic_fast.evaluation.calibration import expected_calibration_error, negative_log_likelihood, reliability


@pytest.fixture
def logits() -> Tensor:
    """2,000 rows of ten classes and the fake one, of all confidences."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2000, 11, generator=generator) * torch.rand(2000, 1, generator=generator) * 6


@pytest.fixture
def labels(logits: Tensor) -> Tensor:
    """Mostly the predicted class."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, 10, (2000,), generator=generator)
    return torch.where(torch.rand(2000, generator=generator) < 0.6, logits[:, :10].argmax(1), drawn)


def looped(logits: Tensor, labels: Tensor, classes: int, bins: int) -> tuple[float, list[int]]:
    """Equation 12 word by word."""
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(logits[:, :classes].double().softmax(1), labels.tolist(), strict=True):
        confidence, predicted = float(row.max()), int(row.argmax())
        (number,) = [m for m in range(bins) if m / bins < confidence <= (m + 1) / bins]
        groups[number].append((confidence, predicted == label))
    error = 0.0
    for group in groups:
        if group:
            accuracy = sum(hit for _, hit in group) / len(group)
            error += len(group) / len(labels) * abs(accuracy - sum(sure for sure, _ in group) / len(group))
    return error, [len(group) for group in groups]


@pytest.mark.parametrize("bins", [1, 2, 15, 20])
def test_error_and_bins_are_those_of_the_definition(logits: Tensor, labels: Tensor, bins: int) -> None:
    error, counts = looped(logits, labels, 10, bins)
    assert error > 0.01
    found = reliability(logits, labels, 10, bins=bins)
    assert found.ece == pytest.approx(error, rel=1e-10)
    assert found.counts.tolist() == counts
    assert expected_calibration_error(logits, labels, 10, bins=bins) == found.ece


@pytest.mark.parametrize("bins", [15, 20])
def test_error_is_that_of_torchmetrics_where_no_confidence_is_one(logits: Tensor, labels: Tensor, bins: int) -> None:
    real = logits[:, :10].double().softmax(1)
    assert real.max() < 1
    theirs = multiclass_calibration_error(real, labels, 10, n_bins=bins, norm="l1")
    assert expected_calibration_error(logits, labels, 10, bins=bins) == pytest.approx(float(theirs), rel=1e-4)


def test_confidence_of_one_belongs_to_the_last_bin() -> None:
    """Half of the last bin is wrong with confidence 1, half right with 0.96; torchmetrics makes two bins of these."""
    nearly = torch.tensor([0.96, 0.04], dtype=torch.float64).log()
    logits = torch.stack([torch.tensor([2000.0, 0.0], dtype=torch.float64), nearly])
    labels = torch.tensor([1, 0])
    found = reliability(logits, labels, 2)
    assert found.counts.tolist() == [0] * 19 + [2]
    assert found.ece == pytest.approx(0.98 - 0.5)
    theirs = float(multiclass_calibration_error(logits.softmax(1), labels, 2, n_bins=20, norm="l1"))
    assert theirs == pytest.approx((1 - 0) / 2 + (1 - 0.96) / 2)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    found = reliability(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1]), 2)
    assert found.edges[10] == 0.5
    assert found.counts.nonzero().flatten().tolist() == [9]  # (0.45, 0.5]
    assert found.ece == 0.0
    assert found.accuracy.isnan().sum() == 19
    assert found.accuracy[9] == found.confidence[9] == 0.5


def test_predictions_as_sure_as_they_are_right_have_no_error() -> None:
    shares = torch.tensor([0.7, 0.9, 0.55])
    logits = torch.stack([shares, 1 - shares], dim=1).log().repeat_interleave(100, 0)
    wrong = torch.cat([(torch.arange(100) >= round(100 * float(share))).long() for share in shares])
    assert expected_calibration_error(logits, wrong, 2) == pytest.approx(0.0, abs=1e-7)
    assert expected_calibration_error(logits, torch.ones_like(wrong), 2) == pytest.approx(float(shares.mean()))


def test_likelihood_is_that_of_scikit_learn(logits: Tensor, labels: Tensor) -> None:
    real = logits[:, :10].double().softmax(1)
    wanted = log_loss(labels.numpy(), real.numpy(), labels=list(range(10)))
    assert negative_log_likelihood(logits, labels, 10) == pytest.approx(wanted, rel=1e-10)


def test_fake_class_is_left_out(logits: Tensor, labels: Tensor) -> None:
    other = logits.clone()
    other[:, 10] = 1e6
    assert negative_log_likelihood(other, labels, 10) == negative_log_likelihood(logits[:, :10], labels, 10)
    assert expected_calibration_error(other, labels, 10) == expected_calibration_error(logits[:, :10], labels, 10)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_of_any_integer_type_do(logits: Tensor, labels: Tensor, dtype: torch.dtype) -> None:
    assert negative_log_likelihood(logits, labels.to(dtype), 10) == negative_log_likelihood(logits, labels, 10)
    assert expected_calibration_error(logits, labels.to(dtype), 10) == expected_calibration_error(logits, labels, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": torch.zeros(3, 1)}, "logits"),
        ({"logits": torch.zeros(3, 2, dtype=torch.int64)}, "logits"),
        ({"logits": torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [float("inf"), 0.0]])}, "logits .* 2 of 3"),
        ({"labels": torch.tensor([0, 1])}, "labels"),
        ({"labels": torch.tensor([0.0, 1.0, 1.0])}, "labels"),
        ({"labels": torch.tensor([0, 1, 2])}, "labels"),
        ({"logits": torch.zeros(0, 2), "labels": torch.zeros(0, dtype=torch.int64)}, "logits"),
        ({"num_classes": 0}, "num_classes"),
        ({"bins": 0}, "bins"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, object], message: str) -> None:
    given = {"logits": torch.zeros(3, 2), "labels": torch.tensor([0, 1, 1]), "num_classes": 2, "bins": 20, **change}
    with pytest.raises(InputError, match=message):
        reliability(**given)  # type: ignore[arg-type]
