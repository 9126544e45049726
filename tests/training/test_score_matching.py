# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Score matching against closed forms: of images that are Gaussian the score is known, and so are losses and slopes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.models import ScoreClassifier, ScoreUNet, ScoreWideResNet
from stic_fast.training.config import ScoreNetworkConfig
from stic_fast.training.score_matching import (
    ScoreConfig,
    brier_loss,
    denoising_loss,
    difference_loss,
    noisy_images,
    probes,
    score_loss,
    sliced_loss,
)

PIXELS = 4
IDENTITY = torch.eye(PIXELS, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _one_seed_for_each_test(one_thread: None) -> None:
    torch.manual_seed(0)


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@pytest.fixture
def mean() -> Tensor:
    """m of images x_0 ~ N(m, S) of four pixels."""
    return normal(PIXELS)


@pytest.fixture
def covariance() -> Tensor:
    """Their S."""
    factor = normal(PIXELS, PIXELS)
    return factor @ factor.T / PIXELS + 0.1 * IDENTITY


def gaussian(count: int, mean: Tensor, covariance: Tensor) -> Tensor:
    """A sample whose own mean and covariance are exactly these, so that means over it are expectations."""
    white = normal(count, len(mean))
    white = white - white.mean(0)
    whiten = torch.linalg.inv(torch.linalg.cholesky(white.T @ white / count))
    return mean + white @ whiten.T @ torch.linalg.cholesky(covariance).T


def joint(mean: Tensor, covariance: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Images and the same with noise of this level, independent exactly."""
    zero = torch.zeros_like(covariance)
    both = torch.cat([torch.cat([covariance, zero], 1), torch.cat([zero, sigma**2 * IDENTITY], 1)])
    clean, kick = gaussian(200, torch.cat([mean, 0 * mean]), both).split(PIXELS, 1)
    return clean, clean + kick


def as_images(x: Tensor) -> Tensor:
    return x.view(len(x), 1, 2, 2)


SIGMA_DATA = 0.5


@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_denoising_is_least_at_the_mean_given_the_noisy_image(mean: Tensor, covariance: Tensor, sigma: float) -> None:
    """D(x) = m + S(S + σ²)⁻¹(x − m), where the loss is that of the covariance S − S(S + σ²)⁻¹S that stays."""
    clean, noisy = joint(mean, covariance, sigma)
    gain = covariance @ torch.linalg.inv(covariance + sigma**2 * IDENTITY)
    matrix, shift = gain.clone().requires_grad_(), (mean - gain @ mean).requires_grad_()
    level = torch.full((len(clean),), sigma, dtype=torch.float64)
    loss = denoising_loss(as_images(noisy @ matrix.T + shift), as_images(clean), level, SIGMA_DATA)
    weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
    expected = weight * (covariance - gain @ covariance).trace() / PIXELS
    torch.testing.assert_close(loss.detach(), expected)
    for slope in torch.autograd.grad(loss, (matrix, shift)):
        torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-10 * weight, rtol=0)


def test_denoising_elsewhere_has_the_closed_forms_value_and_slopes(mean: Tensor, covariance: Tensor) -> None:
    """Of D(x) = M·x + b with M, b arbitrary: E‖D − x_0‖² and its derivatives in M and b."""
    sigma, (matrix, shift) = 0.7, (normal(PIXELS, PIXELS).requires_grad_(), normal(PIXELS).requires_grad_())
    clean, noisy = joint(mean, covariance, sigma)
    level = torch.full((len(clean),), sigma, dtype=torch.float64)
    loss = denoising_loss(as_images(noisy @ matrix.T + shift), as_images(clean), level, SIGMA_DATA)
    weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2 / PIXELS
    left, bias = matrix - IDENTITY, matrix @ mean + shift - mean
    expected = (left @ covariance @ left.T).trace() + sigma**2 * matrix.square().sum() + bias.square().sum()
    torch.testing.assert_close(loss, weight * expected)
    of_matrix = 2 * weight * (left @ covariance + sigma**2 * matrix + torch.outer(bias, mean))
    torch.testing.assert_close(torch.autograd.grad(loss, (matrix, shift)), (of_matrix, 2 * weight * bias))


def test_every_noise_level_begins_with_a_loss_of_one() -> None:
    """Of white noise images of deviation σ_d, and the best D that is a factor on x."""
    for sigma in (0.01, 0.5, 40.0):
        clean, noisy = joint(torch.zeros(PIXELS, dtype=torch.float64), SIGMA_DATA**2 * IDENTITY, sigma)
        level = torch.full((len(clean),), sigma, dtype=torch.float64)
        best = SIGMA_DATA**2 / (SIGMA_DATA**2 + sigma**2) * noisy
        loss = denoising_loss(as_images(best), as_images(clean), level, SIGMA_DATA)
        assert loss.item() == pytest.approx(1.0)


class LinearScore:
    """s(x) = A·x + b."""

    def __init__(self) -> None:
        self.matrix, self.shift = normal(PIXELS, PIXELS).requires_grad_(), normal(PIXELS).requires_grad_()

    def loss(self, x: Tensor, v: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return sliced_loss(x @ self.matrix.T + self.shift, x, v)

    def along_every_coordinate(self, x: Tensor) -> Tensor:
        """The mean over directions e_i·√n, whose covariance is the identity."""
        directions = math.sqrt(PIXELS) * IDENTITY
        return torch.stack([self.loss(x, direction.expand_as(x)) for direction in directions]).mean()

    def expected(self, mean: Tensor, covariance: Tensor) -> Tensor:
        """½E‖Ax + b‖² + tr A."""
        middle = self.matrix @ mean + self.shift
        spread = (self.matrix @ covariance @ self.matrix.T).trace()
        return (spread + middle.square().sum()) / 2 + self.matrix.trace()

    def slopes(self, loss: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(loss, (self.matrix, self.shift))


def test_sliced_over_all_coordinates_is_the_closed_form(mean: Tensor, covariance: Tensor) -> None:
    field, x = LinearScore(), gaussian(200, mean, covariance)
    loss = field.along_every_coordinate(x)
    torch.testing.assert_close(loss, field.expected(mean, covariance))
    middle = (field.matrix @ mean + field.shift).detach()
    of_matrix = (field.matrix @ covariance + torch.outer(middle, mean) + IDENTITY).detach()
    torch.testing.assert_close(field.slopes(loss), (of_matrix, middle))


def test_differences_of_a_linear_score_are_the_derivative(mean: Tensor, covariance: Tensor) -> None:
    field, x = LinearScore(), gaussian(200, mean, covariance)
    v = normal(*x.shape)
    ahead, behind = ((x + sign * 0.3 * v) @ field.matrix.T + field.shift for sign in (1, -1))
    found, expected = difference_loss(ahead, behind, v, 0.3), field.loss(x, v)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(field.slopes(found), field.slopes(expected))


def test_differences_see_how_kinks_move() -> None:
    """Of s(x) = |x + b| and x ~ N(0, 1) the mean of s' is 2·Φ(b) − 1, whose slope in b autograd takes for zero."""
    x, shift = normal(200_000, 1), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    ahead, behind = ((x + sign * 0.05 + shift).abs() for sign in (1, -1))
    loss = difference_loss(ahead, behind, torch.ones_like(x), 0.05) - ((ahead + behind).square() / 8).mean()
    (slope,) = torch.autograd.grad(loss, shift)
    density = math.exp(-0.08) / math.sqrt(2 * math.pi)
    assert slope.item() == pytest.approx(2 * density, rel=0.05)


def test_sliced_is_least_at_the_score_of_the_density(mean: Tensor, covariance: Tensor) -> None:
    """s(x) = −S⁻¹(x − m), where the loss is −½·tr S⁻¹."""
    field, inverse = LinearScore(), torch.linalg.inv(covariance)
    with torch.no_grad():
        field.matrix.copy_(-inverse)
        field.shift.copy_(inverse @ mean)
    loss = field.along_every_coordinate(gaussian(200, mean, covariance))
    assert loss.item() == pytest.approx(-inverse.trace().item() / 2)
    for slope in field.slopes(loss):
        torch.testing.assert_close(slope, torch.zeros_like(slope), atol=1e-8, rtol=0)


@pytest.mark.parametrize(("kind", "spread"), [("signs", 1.0), ("normal", 2.0)])
def test_sliced_along_random_directions_is_so_within_error(
    mean: Tensor, covariance: Tensor, kind: Any, spread: float
) -> None:
    """Of vᵀAv the variance is ½·‖A + Aᵀ‖² without the diagonal for signs, and with it for normal directions."""
    field, count = LinearScore(), 40_000
    x, where = gaussian(count, mean, covariance), {"seed": 0, "step": 0, "chain_ids": torch.arange(count)}
    loss = field.loss(x, probes(x.shape, kind, **where).double())
    both = (field.matrix + field.matrix.T).detach()
    variance = (both.square().sum() - both.diagonal().square().sum() * (spread == 1.0)) / 2
    error = 4 * (variance / count).sqrt().item()
    assert abs(loss.item() - field.expected(mean, covariance).item()) < error
    for ours, theirs in zip(field.slopes(loss), field.slopes(field.expected(mean, covariance)), strict=True):
        assert (ours - theirs).abs().max().item() < 5 * math.sqrt(spread / count)


def test_directions_have_mean_zero_and_covariance_one() -> None:
    where = {"seed": 3, "step": 7, "chain_ids": torch.arange(20_000)}
    for kind in ("signs", "normal"):
        v = probes((20_000, 6), kind, **where)  # type: ignore[arg-type]
        error = 5 / math.sqrt(len(v))
        assert v.mean(0).abs().max() < error and (v.T @ v / len(v) - torch.eye(6)).abs().max() < 1.5 * error
        assert torch.equal(v[7:8], probes((1, 6), kind, seed=3, step=7, chain_ids=torch.tensor([7])))  # type: ignore[arg-type]
        assert not torch.equal(v, probes((20_000, 6), kind, **{**where, "step": 8}))  # type: ignore[arg-type]
    assert set(probes((4, 5), "signs", **{**where, "chain_ids": torch.arange(4)}).unique().tolist()) == {-1.0, 1.0}


@pytest.fixture(params=[ScoreUNet, ScoreWideResNet], ids=lambda kind: kind.__name__)
def network(request: pytest.FixtureRequest) -> ScoreClassifier:
    """A small one, whose gains are not those of the start, which leave out what they multiply."""
    options = {"channels": (2,)} if request.param is ScoreUNet else {"depth": 10, "width": 1}
    network: ScoreClassifier = request.param(num_classes=2, in_channels=1, sigma_read=0.3, **options)
    for parameter in network.parameters():
        if parameter.dim() == 0:
            nn.init.constant_(parameter, 0.7)
    return network.double().eval()


def test_sliced_slopes_in_a_networks_weights_are_finite_differences(network: ScoreClassifier) -> None:
    """Through the second backward pass, along a random direction of each weight."""
    x, v = 0.5 * normal(2, 1, 4, 4), normal(2, 1, 4, 4)

    def loss() -> Tensor:
        noisy = x.clone().requires_grad_()
        return sliced_loss(network.score(noisy, 0.3), noisy, v)

    weights = {name: weight for name, weight in network.named_parameters() if not name.startswith("label.")}
    slopes = torch.autograd.grad(loss(), list(weights.values()), allow_unused=True)
    step, moved = 1e-6, 0
    for (name, weight), slope in zip(weights.items(), slopes, strict=True):
        towards = torch.randn_like(weight)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.add_(sign * step * towards)
            ends.append(loss().item())
            with torch.no_grad():
                weight.sub_(sign * step * towards)
        along = 0.0 if slope is None else (slope * towards).sum().item()
        assert along == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-5), name
        moved += along != 0
    assert moved >= len(weights) - 5, "all but the head's and what the score does not read"


WHERE: dict[str, Any] = {"seed": 0, "step": 0, "chain_ids": torch.arange(6)}


def test_the_sliced_loss_of_training_is_of_order_one_at_every_size_and_level() -> None:
    """Of images of noise alone the score is −x/σ², and the loss of it ½·x²/σ² − 1, which is −½ in the mean."""
    for side, sigma in ((4, 0.3), (32, 0.3), (16, 0.02)):
        network, options = ScoreNetworkConfig(sigma_read=sigma), ScoreConfig(loss="sliced")
        noisy = noisy_images(torch.zeros(6, 1, side, side), options, network, **WHERE)
        assert noisy.x.requires_grad and torch.equal(noisy.sigma, torch.full((6,), sigma))
        clean, denoised = torch.zeros(6, 1, side, side), 0 * noisy.x
        expected = noisy.x.square().mean().item() / sigma**2 / 2 - 1
        assert score_loss(denoised, clean, noisy, options, network, **WHERE).item() == pytest.approx(expected, rel=1e-4)
        assert -0.7 < expected < -0.3


def test_the_denoising_loss_of_training_is_the_plain_one() -> None:
    clean, options, network = torch.rand(6, 1, 8, 8), ScoreConfig(), ScoreNetworkConfig(sigma_data=0.4)
    noisy = noisy_images(clean, options, network, **WHERE)
    expected = denoising_loss(noisy.x / 2, clean, noisy.sigma, 0.4)
    assert torch.equal(score_loss(noisy.x / 2, clean, noisy, options, network, **WHERE), expected)
    assert not noisy.x.requires_grad and len(noisy.sigma.unique()) == 6


def test_brier_is_half_the_squared_distance_to_the_label() -> None:
    logits, targets = normal(5, 3).requires_grad_(), torch.eye(3, dtype=torch.float64)[torch.tensor([0, 1, 2, 0, 1])]
    p = nn.functional.softmax(logits, 1)
    loss = brier_loss(logits, targets)
    torch.testing.assert_close(loss, 0.5 * (targets - p).square().sum() / 5)
    away = p - targets
    expected = p * (away - (p * away).sum(1, keepdim=True)) / 5
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], expected.detach())
    assert brier_loss(100 * targets, targets).item() == pytest.approx(0)
