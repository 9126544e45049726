# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The check tells classifiers with useless gradients from honest ones, and says so in words."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation import gradient_masking
from stic_fast.evaluation.attacks import pgd
from stic_fast.evaluation.gradient_masking import chance_of_fewer, check_gradient_masking
from stic_fast.pixels import to_unit

EPSILON = 8 / 255


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (100, 1, 8, 8), dtype=torch.uint8, generator=generator)


@pytest.fixture
def honest() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))


@pytest.fixture
def labels(honest: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return honest(to_unit(images)).argmax(1)


def test_an_honest_classifier_shows_no_sign(honest: nn.Module, images: Tensor, labels: Tensor) -> None:
    check = check_gradient_masking(honest, images, labels, 3, epsilon=EPSILON, seed=0)
    assert not check.masked
    assert check.verdict.startswith("No sign of gradient masking. Of 100 images, ")
    assert 0.2 < check.base.accuracy < 0.9
    assert check.accuracy <= min(check.base.accuracy, check.stronger.accuracy, check.gradient_free.accuracy)
    assert check.unbounded.accuracy == 0.0
    for name in ("PGD-40 at 8/255", "PGD-100x5 on the margin at 8/255", "Square-500 at 8/255", "PGD-40 at 255/255"):
        assert name in check.verdict


def test_a_base_attack_that_has_been_run_is_not_run_again(
    honest: nn.Module, images: Tensor, labels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = pgd(honest, images, labels, 3, epsilon=EPSILON, seed=0)
    whole = check_gradient_masking(honest, images, labels, 3, epsilon=EPSILON, seed=0)
    attack, run = gradient_masking.pgd, []
    monkeypatch.setattr(gradient_masking, "pgd", lambda *given, **named: run.append(1) or attack(*given, **named))
    again = check_gradient_masking(honest, images, labels, 3, epsilon=EPSILON, seed=0, base=base)
    assert len(run) == 2 and again.verdict == whole.verdict and again.accuracy == whole.accuracy
    with pytest.raises(InputError, match="base"):
        check_gradient_masking(honest, images, labels, 3, epsilon=4 / 255, seed=0, base=base)


def test_a_cross_entropy_that_rounds_to_nothing_is_found_out(honest: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Logits scaled up predict the same, but the softmax is 1 to the last bit and its gradient 0."""
    true = check_gradient_masking(honest, images, labels, 3, epsilon=EPSILON, seed=0).accuracy
    check = check_gradient_masking(lambda x: 1e4 * honest(x), images, labels, 3, epsilon=EPSILON, seed=0)
    assert check.masked
    assert check.base.accuracy > true + 0.05
    assert check.accuracy == pytest.approx(true, abs=0.03)
    assert check.verdict.startswith("Gradient masking: the accuracy under PGD-40 at 8/255 is no robustness")
    assert "PGD-100x5 on the margin at 8/255 breaks" in check.verdict
    assert f"The accuracy to quote is at most {check.accuracy:.1%}." in check.verdict


def test_a_classifier_without_gradient_is_found_out_by_the_search_without(
    honest: nn.Module, images: Tensor, labels: Tensor
) -> None:
    def stepped(x: Tensor) -> Tensor:
        return honest((x * 127.5).round() / 127.5)  # its gradient is 0 everywhere

    check = check_gradient_masking(stepped, images, labels, 3, epsilon=EPSILON, seed=0)
    assert check.masked
    assert check.gradient_free.accuracy < check.stronger.accuracy
    assert "Square-500 at 8/255 breaks" in check.verdict
    assert "PGD-40 at 255/255, free to change every pixel, still leaves" in check.verdict


def test_a_gain_within_the_tolerance_is_no_sign(honest: nn.Module, images: Tensor, labels: Tensor) -> None:
    check = check_gradient_masking(
        lambda x: 1e4 * honest(x), images, labels, 3, epsilon=EPSILON, seed=0, tolerance=1.0, queries=10
    )
    assert not check.masked


def test_chance_is_that_of_the_sign_test() -> None:
    base = torch.tensor([1] * 9 + [0] * 3 + [1] * 20).bool()
    other = torch.tensor([0] * 9 + [1] * 3 + [1] * 20).bool()
    assert chance_of_fewer(base, other) == pytest.approx(binomtest(9, 12, alternative="greater").pvalue)
    assert chance_of_fewer(other, base) == pytest.approx(binomtest(3, 12, alternative="greater").pvalue)
    assert chance_of_fewer(base, base) == 1.0


def test_a_few_images_more_are_no_proof() -> None:
    base, other = torch.ones(100).bool(), torch.ones(100).bool()
    other[:4] = False
    assert chance_of_fewer(base, other) > 0.05
    other[:5] = False
    assert chance_of_fewer(base, other) < 0.05


def test_bad_input_is_refused_in_words(honest: nn.Module, images: Tensor, labels: Tensor) -> None:
    with pytest.raises(InputError, match="stronger_steps"):
        check_gradient_masking(honest, images, labels, 3, epsilon=EPSILON, seed=0, stronger_steps=10)
    with pytest.raises(InputError, match="epsilon"):
        check_gradient_masking(honest, images, labels, 3, epsilon=0, seed=0)
