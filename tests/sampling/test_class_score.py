# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain of a score classifier climbs, against the equation by explicit autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import FixedPasses, ScoreUNet, WideResNet
from stic_fast.models.frozen import frozen
from stic_fast.sampling import (
    AnnealedGRMALA,
    ClassScore,
    Climb,
    GramRegulariser,
    Guidance,
    NoiseSpace,
    Recipe,
    Stage,
    Steps,
    Time,
    draw_hard,
    draw_images,
)

SIGMA = 0.7
AT = Time(0, SIGMA)


@pytest.fixture
def unet() -> ScoreUNet:
    """In float64, three classes and the fake one, and no gain at the zero that training begins with."""
    torch.manual_seed(0)
    model = ScoreUNet(channels=(8, 8), num_classes=3, in_channels=1).double()
    for parameter in model.parameters():
        if not parameter.dim():
            nn.init.constant_(parameter, 0.8)
    return model.requires_grad_(False)


def climbed(guidance: Guidance, model: ScoreUNet, x: Tensor, target: Tensor, time: Time = AT) -> Climb:
    return ClassScore(guidance).climb(FixedPasses(model), x.detach().requires_grad_(True), target, time)


def scores(model: ScoreUNet, x: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """(D − x)/σ² without and with the label."""
    made = [model.at_noise(x, SIGMA, labels).denoised for labels in (None, shown)]
    return (made[0] - x) / SIGMA**2, (made[1] - x) / SIGMA**2


def of_classifier(model: ScoreUNet, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """log p(y|x, σ), the fake class in the sum, and its gradient."""
    x = x.detach().requires_grad_(True)
    logp = model.at_noise(x, SIGMA).logits.log_softmax(1).gather(1, target[:, None])[:, 0]
    return logp.detach(), torch.autograd.grad(logp.sum(), x)[0]


@pytest.mark.parametrize("label", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("classifier", [0.0, 1.0, 1.7])
def test_the_direction_is_the_equation(
    unet: ScoreUNet, start: Tensor, target: Tensor, label: float, classifier: float
) -> None:
    untold, told = scores(unet, start, torch.eye(3, dtype=torch.float64)[target])
    assert float((told - untold).abs().max()) > 0.01, "the label matters"
    logp, uphill = of_classifier(unet, start, target)
    found = climbed(Guidance(label, classifier), unet, start, target)
    torch.testing.assert_close(found.direction, untold + label * (told - untold) + classifier * uphill)
    assert (found.logp is None) == (classifier == 0)
    if found.logp is not None:
        torch.testing.assert_close(found.logp, logp)


def test_without_any_guidance_the_target_says_nothing(unet: ScoreUNet, start: Tensor, target: Tensor) -> None:
    none = Guidance(label=0.0)
    one, other = (climbed(none, unet, start, asked).direction for asked in (target, target.flip(0)))
    assert torch.equal(one, other)


def test_a_label_that_is_withheld_is_a_row_of_zeros(unet: ScoreUNet, start: Tensor) -> None:
    """As the network learns it, beside rows that are told."""
    none, zeros = (unet.at_noise(start, SIGMA, labels) for labels in (None, torch.zeros(6, 3)))
    assert torch.equal(none.denoised, zeros.denoised) and torch.equal(none.logits, zeros.logits)


def test_soft_labels_tell_a_mixture(unet: ScoreUNet, start: Tensor, target: Tensor) -> None:
    hard, guidance = torch.eye(3)[target], Guidance(1.5, 1.0)
    assert torch.equal(climbed(guidance, unet, start, hard).direction, climbed(guidance, unet, start, target).direction)
    soft = (0.25 * hard + 0.75 * hard.flip(0)).double()
    untold, told = scores(unet, start, soft)
    each = [of_classifier(unet, start, asked)[1] for asked in (target, target.flip(0))]
    found = climbed(guidance, unet, start, soft).direction
    torch.testing.assert_close(found, untold + 1.5 * (told - untold) + 0.25 * each[0] + 0.75 * each[1])


@pytest.mark.parametrize(("lowest", "highest", "led"), [(0.0, 0.7, True), (0.7, 9.0, False), (0.0, 0.6, False)])
@pytest.mark.parametrize("label", [0.4, 2.0])
def test_beyond_the_interval_the_label_alone_leads(
    unet: ScoreUNet, start: Tensor, target: Tensor, label: float, lowest: float, highest: float, led: bool
) -> None:
    guidance = Guidance(label, 1.5, lowest=lowest, highest=highest)
    found = climbed(guidance, unet, start, target)
    same = Guidance(label, 1.5) if led else Guidance(min(label, 1.0))
    assert torch.equal(found.direction, climbed(same, unet, start, target).direction)
    level = torch.tensor(SIGMA, dtype=torch.float64)  # as a captured step is told it
    captured = climbed(guidance, unet, start, target, Time(torch.tensor([0]), level))
    torch.testing.assert_close(captured.direction, found.direction, rtol=0, atol=1e-6)  # sizes are float32 there


def test_a_network_without_labels_has_no_g(unet: ScoreUNet, start: Tensor, target: Tensor) -> None:
    unet.takes_labels = False
    found = climbed(Guidance(label=2.0), unet, start, target)
    torch.testing.assert_close(found.direction, unet.score(start, SIGMA))


def test_float16_keeps_small_gradients_of_the_classifier(unet: ScoreUNet, start: Tensor) -> None:
    """Where it is sure of the class they are below 1e-8, which float16 by itself rounds to nothing."""
    network, x = unet.float(), start.half()
    best = network.at_noise(x.float(), SIGMA).logits.topk(2)
    network.head_gain.mul_(20 / (best.values[:, 0] - best.values[:, 1]).max())
    target = best.indices[:, 0]
    sure = network.at_noise(x.float(), SIGMA).logits.softmax(1).amax(1) > 1 - 1e-7
    _, exact = of_classifier(network, x.float(), target)
    assert bool(sure.any()) and float(exact[sure].abs().max()) < 1e-7
    found = climbed(Guidance(0.0, 1e9), network, x, target).direction - network.score(x, SIGMA)
    largest = float(1e9 * exact[sure].abs().max())
    torch.testing.assert_close(found[sure], 1e9 * exact[sure], rtol=0, atol=0.05 * largest)


def test_a_gram_term_reads_images_without_noise(unet: ScoreUNet, start: Tensor) -> None:
    """Those of the state as those that it compares with."""
    layers = ("down1.second", "middle.first")
    _, found = ClassScore().outputs(FixedPasses(unet), start, layers, AT)
    _, expected = unet.logits_and_features(unet.at_noise(start, SIGMA).denoised, layers)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


class CountedGram(GramRegulariser):
    calls = 0

    def __call__(self, features: Sequence[Tensor]) -> Tensor:
        self.calls += 1
        return super().__call__(features)


def test_the_gram_term_moves_correctors_alone(unet: ScoreUNet, start: Tensor, target: Tensor) -> None:
    sampler = AnnealedGRMALA(steps=2, sigma_max=2.0, sigma_min=SIGMA, correctors=1, step_size=0.2, eps2=3.0)
    gram = CountedGram.from_images(unet, start.flip(0).clamp(-1, 1))
    states: list[Tensor] = []
    arguments: dict[str, Any] = {"objective": ClassScore(), "seed": 0, "gram": gram}
    sampler.run(unet, start, target, on_step=lambda state: states.append(state.x), **arguments)
    assert len(states) == 3 and gram.calls == 1
    here = states[0].clone().requires_grad_(True)
    with frozen(unet):
        _, features = unet.logits_and_features(unet.at_noise(here, SIGMA).denoised, unet.gram_layers)
        (downhill,) = torch.autograd.grad(gram(features).sum(), here)
    assert float(downhill.abs().max()) > 1e-5
    plain = AnnealedGRMALA(steps=2, sigma_max=2.0, sigma_min=SIGMA, correctors=1, step_size=0.2)
    without: list[Tensor] = []
    plain.run(unet, start, target, objective=ClassScore(), seed=0, on_step=lambda state: without.append(state.x))
    assert torch.equal(without[0], states[0])
    half = 0.2 * SIGMA**2 / 2
    torch.testing.assert_close(states[1], without[1] - 3.0 * half * downhill)
    traced = sampler.run(unet, start, target, trace_every=1, **arguments)
    torch.testing.assert_close(traced.x, states[-1])
    assert all(record.gram_loss > 0 and record.grad_gram_norm > 0 for record in traced.trace)


def test_images_are_the_same_in_batches_of_any_size(unet: ScoreUNet, images: Tensor, labels: Tensor) -> None:
    """At most one level in a few pixels: convolutions round by batch."""
    stage = Stage(AnnealedGRMALA(steps=5, sigma_max=20.0, correctors=1, eps2=1.0), ClassScore(Guidance(2.0, 1.0)))
    recipe, ids = Recipe(stage, NoiseSpace(sigma=20.0)), torch.arange(7) + 40
    condition = draw_hard(labels, torch.arange(7) % 3, ids, seed=1)
    whole, parts = (
        draw_images(unet.float(), recipe, condition, images, labels, seed=5, chain_ids=ids, batch_size=batch_size)
        for batch_size in (7, 3)
    )
    difference = (parts.int() - whole.int()).abs()
    assert whole.shape == (7, 1, 8, 8) and whole.float().std() > 10
    assert int(difference.max()) <= 1 and int((difference > 0).sum()) <= 5


def test_networks_and_steps_that_it_cannot_climb(unet: ScoreUNet, net: WideResNet, start: Tensor) -> None:
    target = torch.zeros(6, dtype=torch.int64)
    with pytest.raises(InputError, match="ScoreClassifier"):
        AnnealedGRMALA().run(net, start, target, objective=ClassScore(), seed=0)
    for steps in (Steps(2, 0.1), Steps(2, 0.1, sigma=0.0)):
        with pytest.raises(InputError, match="sigma"):
            AnnealedGRMALA().run(unet, start, target, objective=ClassScore(), seed=0, steps=steps)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"label": -1.0}, "label"),
        ({"classifier": float("nan")}, "classifier"),
        ({"lowest": 2.0, "highest": 2.0}, "low"),
    ],
)
def test_settings_that_guide_nowhere(settings: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Guidance(**settings)
