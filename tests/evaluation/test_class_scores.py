# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Cls_R, Cls_G and accuracy on images whose right score is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation import Judge, accuracy, cls_g, cls_r, train_judge

SHADES = torch.tensor([10, 130, 250])


def shaded(labels: Tensor, seed: int) -> Tensor:
    """4x4 grey images whose class is their shade, give or take 5."""
    noise = torch.randint(-5, 6, (len(labels), 1, 4, 4), generator=torch.Generator().manual_seed(seed))
    return (SHADES[labels].view(-1, 1, 1, 1) + noise).to(torch.uint8)


LABELS = torch.arange(30) % 3
REAL, DRAWN = shaded(LABELS, 0), shaded(LABELS, 1)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return train_judge(REAL, LABELS, 3, iterations=60, batch_size=16, seed=0)


def test_cls_r_is_the_share_that_shows_the_class_asked_for(judge: Judge) -> None:
    assert cls_r(judge, DRAWN, LABELS) == 1.0
    asked = LABELS.clone()
    asked[:6] = (asked[:6] + 1) % 3
    assert cls_r(judge, DRAWN, asked) == pytest.approx(24 / 30)
    assert cls_r(judge, DRAWN, asked, batch_size=1) == pytest.approx(24 / 30)
    assert cls_r(judge, DRAWN, asked, 3) == 1.0


def test_cls_r_top_two_lies_between_top_one_and_all(judge: Judge) -> None:
    asked = (LABELS + 1) % 3
    runners_up = judge(DRAWN).topk(2, dim=1).indices[:, 1]
    assert cls_r(judge, DRAWN, asked, k=1) == 0.0
    assert cls_r(judge, DRAWN, asked, k=2) == pytest.approx((runners_up == asked).float().mean().item())


def test_cls_g_is_high_for_right_images_and_low_for_wrongly_labelled_ones() -> None:
    options = {"num_classes": 3, "seed": 0, "iterations": 60, "batch_size": 16}
    assert cls_g(DRAWN, LABELS, REAL, LABELS, **options) == 1.0
    assert cls_g(DRAWN, (LABELS + 1) % 3, REAL, LABELS, **options) == 0.0
    assert cls_g(DRAWN, (LABELS + 1) % 3, REAL, LABELS, k=3, **options) == 1.0


def test_cls_g_misses_a_class_that_was_never_drawn() -> None:
    seen = LABELS != 2
    score = cls_g(DRAWN[seen], LABELS[seen], REAL, LABELS, num_classes=3, seed=0, iterations=60, batch_size=16)
    assert score == pytest.approx(2 / 3)


def test_cls_g_repeats_for_its_seed_and_reports_progress() -> None:
    options = {"num_classes": 3, "iterations": 4, "batch_size": 4, "k": 2}
    reports: list[tuple[int, int]] = []
    first = cls_g(DRAWN, LABELS, REAL, LABELS, seed=7, progress=lambda *now: reports.append(now), **options)
    torch.rand(3)
    assert cls_g(DRAWN, LABELS, REAL, LABELS, seed=7, **options) == first
    assert reports == [(1, 4), (2, 4), (3, 4), (4, 4)]


class ByShade(nn.Module):
    """Reads a shade's class in evaluation mode only; a fourth logit, the fake class, is always the largest."""

    def __init__(self) -> None:
        super().__init__()
        self.shades = nn.Parameter(SHADES / 127.5 - 1)
        self.dropout = nn.Dropout(1.0).eval()

    def forward(self, x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        assert -1 <= x.min() <= x.max() <= 1
        assert not torch.is_grad_enabled()
        mean = x.mean(dim=(1, 2, 3))
        classes = -(mean[:, None] - self.shades).abs() if not self.training else torch.zeros(len(x), 3)
        return torch.cat([classes, torch.ones(len(x), 1)], dim=1)


def test_accuracy_reads_the_first_logits_in_evaluation_mode_and_restores_every_mode() -> None:
    model = ByShade()
    labels = LABELS.clone()
    labels[0] = 1
    assert accuracy(model, REAL, labels, 3, batch_size=7) == pytest.approx(29 / 30)
    assert model.training
    assert not model.dropout.training
    assert torch.is_grad_enabled()


def test_accuracy_takes_a_function_too() -> None:
    model = ByShade().eval()
    assert accuracy(lambda x: model(x), REAL, LABELS, 3) == 1.0


def test_accuracy_of_a_diverged_model_is_zero() -> None:
    assert accuracy(lambda x: torch.full((len(x), 4), float("nan")), REAL, LABELS, 3) == 0.0


def test_logits_that_are_not_finite_are_wrong_though_the_largest_is_the_label_s() -> None:
    model = ByShade().eval()

    def infinite(x: Tensor) -> Tensor:
        logits = model(x)
        logits[LABELS == 1, 1] = float("inf")
        logits[LABELS == 2, 0] = -float("inf")
        return logits

    assert accuracy(infinite, REAL, LABELS, 3) == pytest.approx(1 / 3)


def test_accuracy_ignores_a_nan_in_the_fake_logit() -> None:
    model = ByShade().eval()

    def nan_beyond(x: Tensor) -> Tensor:
        logits = model(x)
        logits[:, 3] = float("nan")
        return logits

    assert accuracy(nan_beyond, REAL, LABELS, 3) == 1.0


def test_mistakes_are_named(judge: Judge) -> None:
    with pytest.raises(InputError, match="drawn_images"):
        cls_r(judge, DRAWN.float(), LABELS)
    with pytest.raises(InputError, match="drawn_images"):
        cls_r(judge, DRAWN[:0], LABELS[:0])
    with pytest.raises(InputError, match="labels of drawn_images"):
        cls_r(judge, DRAWN, LABELS.clone().put_(torch.tensor([4]), torch.tensor([3])))
    for k in (0, 4):
        with pytest.raises(InputError, match=f"k must .*{k}"):
            cls_r(judge, DRAWN, LABELS, k)
    with pytest.raises(InputError, match="judge 'cnn'"):
        cls_r(judge, DRAWN.repeat(1, 1, 2, 1), LABELS)
    with pytest.raises(InputError, match="logits"):
        accuracy(lambda x: x.mean(dim=(2, 3)).expand(-1, 2), REAL, LABELS, 3)
    with pytest.raises(InputError, match="labels of images"):
        accuracy(ByShade(), REAL, LABELS[:-1], 3)


def test_cls_g_names_mistakes_before_it_trains() -> None:
    def fail(done: int, iterations: int) -> None:
        pytest.fail("trained although the input was bad")

    options = {"seed": 0, "progress": fail}
    with pytest.raises(InputError, match="real_test_images"):
        cls_g(DRAWN, LABELS, REAL.float(), LABELS, num_classes=3, **options)
    with pytest.raises(InputError, match="labels of real_test_images"):
        cls_g(DRAWN, LABELS, REAL, LABELS + 1, num_classes=3, **options)
    with pytest.raises(InputError, match="drawn_images and real_test_images"):
        cls_g(DRAWN, LABELS, REAL.repeat(1, 1, 2, 1), LABELS, num_classes=3, **options)
    with pytest.raises(InputError, match="k must"):
        cls_g(DRAWN, LABELS, REAL, LABELS, num_classes=3, k=4, **options)
