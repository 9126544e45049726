# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Both scores against closed forms, plain loops over pairs, and torchmetrics."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore

from stic_fast.errors import InputError
from stic_fast.evaluation.inception_score import LOG_FLOOR, inception_score, modified_inception_score

pytestmark = pytest.mark.usefixtures("one_thread")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_logits(count: int, classes: int, *, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(count, classes, generator=generator(5), dtype=torch.float64)


@pytest.mark.parametrize("classes", [2, 7, 10])
@pytest.mark.parametrize("height", [60.0, 1e4])
def test_sure_and_even_readings_score_the_number_of_classes(classes: int, height: float) -> None:
    logits = height * torch.eye(classes).repeat(6, 1)
    mean, spread = inception_score(logits, splits=1, generator=generator())
    assert mean == pytest.approx(classes, rel=1e-9)
    assert spread == 0
    assert inception_score(logits[:1].repeat(20, 1), generator=generator()) == pytest.approx((1, 0), abs=1e-12)
    assert inception_score(torch.zeros(20, classes), generator=generator()) == pytest.approx((1, 0), abs=1e-12)


def test_a_closed_form_between_the_extremes() -> None:
    # Two kinds of images in equal number: p = (q, 1 − q) and its mirror; the marginal is even.
    q = 0.9
    logits = torch.tensor([[q, 1 - q], [1 - q, q]], dtype=torch.float64).log().repeat(10, 1)
    expected = 2 * math.exp(q * math.log(q) + (1 - q) * math.log(1 - q))
    assert inception_score(logits, splits=1, generator=generator())[0] == pytest.approx(expected, rel=1e-12)


def test_agrees_with_torchmetrics_which_deals_the_same_from_the_same_seed() -> None:
    logits = random_logits(60, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says that it keeps all features
        metric = InceptionScore(feature=nn.Identity(), splits=6)
    metric.update(logits)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected_mean, expected_deviation = (float(value) for value in metric.compute())
    mean, spread = inception_score(logits, splits=6, generator=generator(3))
    assert mean == pytest.approx(expected_mean, rel=1e-9)
    assert spread == pytest.approx(expected_deviation * math.sqrt(5 / 6), rel=1e-9)  # it divides by splits − 1


def test_images_sorted_by_class_are_dealt_first() -> None:
    logits = 60 * torch.eye(4).repeat_interleave(100, 0)
    state = torch.get_rng_state()
    mean, spread = inception_score(logits, splits=4, generator=generator())
    assert 3.8 < mean < 4 and 0 < spread < 0.1  # in the order given each split would hold one class and score 1
    assert (mean, spread) == inception_score(logits, splits=4, generator=generator())
    assert torch.equal(torch.get_rng_state(), state)


def pair_loop(logits: Tensor, floor: float) -> float:
    p = logits.double().softmax(1)
    log_p = p.clamp_min(floor).log()
    pairs = [float((a * (log_a - log_b)).sum()) for a, log_a in zip(p, log_p, strict=True) for log_b in log_p]
    return math.exp(sum(pairs) / len(pairs))


@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
@pytest.mark.parametrize("floor", [LOG_FLOOR, 1e-3, 1e-30])
def test_mis_is_the_loop_over_all_pairs(scale: float, floor: float) -> None:
    logits = random_logits(40, 5, scale=scale)
    labels = torch.arange(40) % 3
    score = modified_inception_score(logits, labels, num_classes=3, log_floor=floor)
    expected = [pair_loop(logits[labels == number], floor) for number in range(3)]
    assert score.per_class == pytest.approx(expected, rel=1e-9)
    assert score.mean == pytest.approx(sum(expected) / 3, rel=1e-9)
    assert score.spread == pytest.approx(float(torch.tensor(expected, dtype=torch.float64).std(correction=0)), rel=1e-9)


def test_mis_of_sure_readings_is_set_by_the_floor_alone() -> None:
    # Two sure images of one class that read differently: half of the ordered pairs are −log(floor) apart.
    for floor in (LOG_FLOOR, 1e-4):
        score = modified_inception_score(
            torch.tensor([[90.0, 0.0], [0.0, 90.0]]), torch.zeros(2, dtype=torch.int64), num_classes=1, log_floor=floor
        )
        assert score.mean == pytest.approx(floor**-0.5, rel=1e-6)
        assert score.spread == 0


def test_mis_groups_by_the_class_asked_for_and_leaves_empty_classes_out() -> None:
    logits = random_logits(12, 4)
    labels = torch.tensor([0] * 6 + [3] * 5 + [2])
    score = modified_inception_score(logits, labels, num_classes=4)
    assert math.isnan(score.per_class[1])
    assert score.per_class[2] == pytest.approx(1, rel=1e-12)  # a single image differs from nothing
    assert score.mean == pytest.approx((score.per_class[0] + score.per_class[2] + score.per_class[3]) / 3)
    alike = modified_inception_score(logits[:1].repeat(12, 1), labels, num_classes=4)
    assert alike.mean == pytest.approx(1, rel=1e-12)


LOGITS, LABELS = random_logits(6, 3), torch.zeros(6, dtype=torch.int64)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        ([1.0], "logits .* list"),
        (LOGITS[0], "logits"),
        (LOGITS.long(), "logits"),
        (LOGITS[:0], "logits"),
        (LOGITS * float("nan"), "logits .*NaN"),
    ],
)
def test_bad_logits_are_named(logits: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        inception_score(logits, splits=1, generator=generator())
    with pytest.raises(InputError, match=message):
        modified_inception_score(logits, LABELS, num_classes=3)


def test_bad_splits_labels_and_floors_are_named() -> None:
    for splits in (0, 7):
        with pytest.raises(InputError, match="splits"):
            inception_score(LOGITS, splits=splits, generator=generator())
    for floor in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="log_floor"):
            modified_inception_score(LOGITS, LABELS, num_classes=3, log_floor=floor)
    with pytest.raises(InputError, match="asked_labels"):
        modified_inception_score(LOGITS, LABELS[:5], num_classes=3)
    with pytest.raises(InputError, match="asked_labels"):
        modified_inception_score(LOGITS, LABELS.float(), num_classes=3)
    with pytest.raises(InputError, match="asked_labels"):
        modified_inception_score(LOGITS, torch.tensor([0, 1, 2, 3, 0, 0]), num_classes=3)
