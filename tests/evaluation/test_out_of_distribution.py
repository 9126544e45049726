# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Out-of-distribution scores against closed forms, the AUROC against a count of all pairs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.judge import predict_logits
from stic_fast.evaluation.out_of_distribution import (
    SCORE_LABELS,
    SCORE_NAMES,
    SIGMA,
    auroc,
    class_confidence,
    log_density,
    ood_scores,
    real_log_odds,
    score_norm,
)
from stic_fast.models import ScoreUNet, WideResNet
from stic_fast.pixels import to_unit


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def net() -> WideResNet:
    """Three classes and the fake one, 8x8 grey images; in training mode."""
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=3, in_channels=1)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (11, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(20, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_scores_of_logits_are_what_the_formulas_say(logits: Tensor) -> None:
    real = logits[:, :3].exp()
    torch.testing.assert_close(log_density(logits, 3), real.sum(1).log())
    likeliest = (real / real.sum(1, keepdim=True)).amax(1)
    torch.testing.assert_close(class_confidence(logits, 3), (likeliest / (1 - likeliest)).log())
    fake = logits.softmax(1)[:, 3]
    torch.testing.assert_close(real_log_odds(logits, 3), ((1 - fake) / fake).log())


def test_fake_class_changes_its_own_score_alone(logits: Tensor) -> None:
    other = logits.clone()
    other[:, 3] += 5
    assert torch.equal(log_density(other, 3), log_density(logits[:, :3], 3))
    assert torch.equal(class_confidence(other, 3), class_confidence(logits[:, :3], 3))
    torch.testing.assert_close(real_log_odds(other, 3), real_log_odds(logits, 3) - 5)


def test_log_odds_rank_as_the_fake_class_s_probability_does_and_go_on_where_it_rounds(logits: Tensor) -> None:
    odds, fake = real_log_odds(logits, 3), logits.softmax(1)[:, 3]
    assert torch.equal(odds.argsort(), (-fake).argsort())
    assert auroc(odds[:9], odds[9:]) == auroc(-fake[:9], -fake[9:])
    sure = torch.tensor([[0.0, 0.0, 0.0, 300.0], [0.0, 0.0, 0.0, 400.0]])
    assert sure.softmax(1)[0, 3] == sure.softmax(1)[1, 3] == 1
    assert real_log_odds(sure, 3)[0] > real_log_odds(sure, 3)[1]


def test_confidence_goes_on_where_the_probability_rounds_to_one() -> None:
    """GMMC's logits, −‖φ − μ‖²/2γ², lie hundreds of nats apart."""
    inside = torch.tensor([[-3.0, -900.0, -905.0], [-2.0, -1000.0, -950.0]])
    outside = torch.tensor([[-400.0, -700.0, -1000.0], [-390.0, -450.0, -800.0]])
    assert (inside.double().softmax(1).amax(1) == outside.double().softmax(1).amax(1)).all(), "p itself cannot tell"
    assert auroc(class_confidence(inside, 3), class_confidence(outside, 3)) == 1.0
    assert torch.equal(class_confidence(torch.randn(4, 1), 1), torch.zeros(4, dtype=torch.float64))


def test_gradient_score_of_a_linear_classifier_is_known(images: Tensor) -> None:
    """∂ log p(x)/∂x = Wᵀ softmax(W x + b) over the real classes."""
    torch.manual_seed(3)
    layer = nn.Linear(64, 4).double()
    weight, x = layer.weight.detach()[:3], to_unit(images).double().flatten(1)
    p = (x @ weight.T + layer.bias.detach()[:3]).softmax(1)
    found = ood_scores(nn.Sequential(nn.Flatten(), layer), images, 3)
    torch.testing.assert_close(found["gradient"], -(p @ weight).norm(dim=1))


def test_all_scores_come_together_whatever_the_batch(net: WideResNet, images: Tensor) -> None:
    whole = ood_scores(net, images, 3)
    assert list(SCORE_LABELS) == list(SCORE_NAMES) == [*whole, "score_norm"]
    logits = predict_logits(net, images, batch_size=100)
    torch.testing.assert_close(whole["log_density"], log_density(logits, 3))
    torch.testing.assert_close(whole["class_confidence"], class_confidence(logits, 3))
    torch.testing.assert_close(whole["real_log_odds"], real_log_odds(logits, 3))
    assert (whole["gradient"] < 0).all()
    for size in (1, 4, 11, 64):
        parts = ood_scores(net, images, 3, batch_size=size)
        for name, values in whole.items():
            assert values.dtype == torch.float64
            torch.testing.assert_close(parts[name], values, rtol=1e-5, atol=1e-6)


def test_no_fake_class_no_score_of_it(images: Tensor) -> None:
    torch.manual_seed(0)
    net = WideResNet(depth=10, width=1, num_classes=3, in_channels=1, fake_class=False)
    assert list(ood_scores(net, images, 3)) == ["log_density", "class_confidence", "gradient"]


@pytest.fixture
def scorer() -> ScoreUNet:
    """Three classes and the fake one, 8x8 grey images, with a score that is not that of a new network; training."""
    torch.manual_seed(0)
    model = ScoreUNet(channels=(8, 16), num_classes=3, in_channels=1)
    torch.nn.init.constant_(model.out_gain, 0.5)
    return model


def test_a_score_classifier_adds_the_norm_of_its_score(scorer: ScoreUNet, images: Tensor) -> None:
    found = ood_scores(scorer, images, 3)
    assert list(found) == list(SCORE_LABELS) and found["score_norm"].dtype == torch.float64
    x = to_unit(images)
    denoised = scorer.at_noise(x, SIGMA).denoised.detach()
    norm = ((denoised - x) / SIGMA**2).flatten(1).double().norm(dim=1)
    torch.testing.assert_close(found["score_norm"], -norm, rtol=1e-5, atol=1e-5)
    for given in (images, x):
        torch.testing.assert_close(score_norm(scorer, given, batch_size=4), norm, rtol=1e-5, atol=1e-5)
    assert scorer.training and all(p.requires_grad and p.grad is None for p in scorer.parameters())


def test_a_network_of_one_noise_level_is_asked_at_that(scorer: ScoreUNet, images: Tensor) -> None:
    scorer.knows_every_level, scorer.sigma_read = False, 0.1
    norm = scorer.score(to_unit(images), 0.1).detach().flatten(1).double().norm(dim=1)
    torch.testing.assert_close(ood_scores(scorer, images, 3)["score_norm"], -norm, rtol=1e-5, atol=1e-4)


def test_the_norm_of_a_gaussian_s_score(scorer: ScoreUNet) -> None:
    """A new network knows the score of N(0, 1/4) with noise, −x/(1/4 + σ²): the farther away, the steeper."""
    scorer.reset_parameters()
    x = torch.tensor([0.0, 0.1, -0.4, 1.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    expected = 8 * torch.tensor([0.0, 0.1, 0.4, 1.0], dtype=torch.float64) / (0.25 + SIGMA**2)
    torch.testing.assert_close(score_norm(scorer, x), expected, rtol=1e-5, atol=1e-6)


def test_the_model_is_left_as_it_was(net: WideResNet, images: Tensor) -> None:
    net.train()
    frozen_before = next(net.parameters())
    frozen_before.requires_grad_(False)
    with torch.no_grad():
        ood_scores(net, images, 3)
    with pytest.raises(InputError, match="num_classes=9"):
        ood_scores(net, images, 9)
    assert all(module.training for module in net.modules())
    assert [p.requires_grad for p in net.parameters()] == [p is not frozen_before for p in net.parameters()]
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("levels", [2, 5, 10_000])
def test_auroc_is_the_share_of_pairs_won_with_ties_counted_half(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    inside = torch.randint(0, levels, (40,), generator=generator).double() + levels // 5
    outside = torch.randint(0, levels, (63,), generator=generator).double()
    pairs = [float(a > b) + 0.5 * float(a == b) for a in inside for b in outside]
    assert auroc(inside, outside) == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)
    assert auroc(outside, inside) == pytest.approx(1 - sum(pairs) / len(pairs), rel=1e-12)


def test_auroc_at_its_ends() -> None:
    low, high = torch.arange(5.0), torch.arange(5.0) + 9
    assert (auroc(high, low), auroc(low, high), auroc(low, low), auroc(low[:1], low[:1])) == (1.0, 0.0, 0.5, 0.5)


def test_bad_input_is_refused_in_words(net: WideResNet, images: Tensor) -> None:
    with pytest.raises(InputError, match="images"):
        ood_scores(net, images.float(), 3)
    with pytest.raises(InputError, match="images"):
        ood_scores(net, images[:0], 3)
    with pytest.raises(InputError, match="batch_size"):
        ood_scores(net, images, 3, batch_size=0)
    with pytest.raises(InputError, match="batch_size"):
        score_norm(ScoreUNet(channels=(8,), num_classes=3, in_channels=1), images, batch_size=0)
    with pytest.raises(InputError, match="num_classes=2"):
        real_log_odds(torch.zeros(5, 4), 2)
    with pytest.raises(InputError, match="outside"):
        auroc(torch.zeros(3), torch.tensor([0.0, float("nan")]))
    with pytest.raises(InputError, match="inside"):
        auroc(torch.zeros(0), torch.zeros(3))
