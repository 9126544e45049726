# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Fitted temperatures against scikit-learn's and a search on a grid, and that no image is used on itself."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.calibration import (
    LARGEST,
    expected_calibration_error,
    negative_log_likelihood,
    temperature,
    tempered,
)

CLASSES = 5


def sampled(count: int, factor: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Labels drawn from softmax(z), and logits factor·z: calibrated at a temperature of `factor`."""
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(count, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    return factor * z, labels


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 40.0, 5_000.0])
def test_the_factor_on_calibrated_logits_is_found(factor: float) -> None:
    logits, labels = sampled(20_000, factor)
    assert temperature(logits, labels, CLASSES) == pytest.approx(factor, rel=0.03)


def test_it_is_the_minimum_of_the_smoothed_likelihood() -> None:
    logits, labels = sampled(200, 3.0)
    smoothing = CLASSES / (CLASSES - 1) / 202  # torch spreads it over all classes, the right one too
    grid = torch.linspace(1.0, 6.0, 5_001, dtype=torch.float64)
    losses = torch.stack([F.cross_entropy(logits / T, labels, label_smoothing=smoothing) for T in grid])
    assert temperature(logits, labels, CLASSES) == pytest.approx(float(grid[losses.argmin()]), abs=2e-3)


def test_it_does_not_depend_on_a_common_shift_the_fake_class_or_precision() -> None:
    logits, labels = sampled(500, 2.0)
    wanted = temperature(logits, labels, CLASSES)
    shift = torch.randn(500, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert temperature(logits + 100 * shift, labels, CLASSES) == pytest.approx(wanted, rel=1e-9)
    fake = torch.full((500, 1), 1e9, dtype=torch.float64)
    assert temperature(torch.cat([logits, fake], 1), labels, CLASSES) == wanted
    assert temperature(logits.float(), labels.int(), CLASSES) == pytest.approx(wanted, rel=1e-6)


def test_a_classifier_that_never_errs_is_left_a_doubt() -> None:
    logits = 8.0 * torch.eye(4)[torch.arange(100) % 4]
    found = temperature(logits, torch.arange(100) % 4, 4)
    assert 0.9 < found < 2.0
    sure = float((logits / found).softmax(1).amax(1).mean())
    assert sure == pytest.approx(101 / 102)


def test_logits_that_say_nothing_or_the_opposite_are_flattened() -> None:
    labels = torch.arange(100) % 4
    wrong = -8.0 * torch.eye(4)[labels]
    assert temperature(wrong, labels, 4) == pytest.approx(LARGEST)
    assert math.isfinite(temperature(torch.zeros(100, 4), labels, 4))


def test_scaling_mends_what_only_has_the_wrong_scale() -> None:
    logits, labels = sampled(5_000, 30.0)
    found = tempered(logits, labels, CLASSES)
    assert expected_calibration_error(logits, labels, CLASSES) > 0.15
    best = logits / 30
    for score, near in ((expected_calibration_error, 0.005), (negative_log_likelihood, 0.001)):
        assert score(found.logits, labels, CLASSES) == pytest.approx(score(best, labels, CLASSES), abs=near)
    assert bool((found.logits.argmax(1) == logits.argmax(1)).all()), "no answer changes"


def test_no_image_takes_part_in_its_own_temperature() -> None:
    logits, labels = sampled(60, 5.0)
    before = tempered(logits, labels, CLASSES, seed=3)
    for image in (0, 17, 59):
        changed = labels.clone()
        changed[image] = (labels[image] + 1) % CLASSES
        after = tempered(logits, changed, CLASSES, seed=3)
        assert torch.equal(after.logits[image], before.logits[image])
        assert not torch.equal(after.logits, before.logits), "others see it"


def test_the_seed_deals_the_folds() -> None:
    logits, labels = sampled(50, 5.0)
    first = tempered(logits, labels, CLASSES)
    assert first.temperatures == tempered(logits, labels, CLASSES, seed=0).temperatures
    assert first.temperatures != tempered(logits, labels, CLASSES, seed=1).temperatures
    assert len(tempered(logits, labels, CLASSES, folds=50).temperatures) == 50


def test_bad_input_is_refused() -> None:
    logits, labels = sampled(4, 1.0)
    with pytest.raises(InputError, match="folds"):
        tempered(logits, labels, CLASSES)
    with pytest.raises(InputError, match="folds"):
        tempered(logits, labels, CLASSES, folds=1)
    with pytest.raises(InputError, match="labels"):
        temperature(logits, labels + 5, CLASSES)
    with pytest.raises(InputError, match="logits"):
        temperature(logits * torch.nan, labels, CLASSES)
    with pytest.raises(InputError, match="logits"):
        temperature(logits[:0], labels[:0], CLASSES)
