# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every objective of hard and soft labels, its values and its gradients, against the formula written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import MaxMahalanobisClassifier, WideResNet
from stic_fast.ops import noise
from stic_fast.sampling import GRMALA, LatentGaussian, LogJoint, LogMarginal, LogPosterior, Objective

LOGITS = torch.randn((5, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 3, 1, 2, 2])
SEED, STEPS = 11, 15
IDS = torch.tensor([5, 0, 77, 2, 1, 2**31 + 9])


@pytest.fixture
def model() -> MaxMahalanobisClassifier:
    """Three classes in five dimensions, float64; γ² = 0.7."""
    torch.manual_seed(0)
    network = WideResNet(depth=10, width=1, num_classes=5, in_channels=1, fake_class=False)
    model = MaxMahalanobisClassifier(network, num_classes=3).double()
    model.variance.fill_(0.7)
    return model.requires_grad_(False)


def gradient(values: Tensor, at: Tensor) -> Tensor:
    return torch.autograd.grad(values.sum(), at, retain_graph=True)[0]


def test_hard_labels() -> None:
    expected = [
        (row[label] - torch.log(sum(torch.exp(value) for value in row)))
        for row, label in zip(LOGITS, LABELS.tolist(), strict=True)
    ]
    torch.testing.assert_close(LogPosterior()(LOGITS, LABELS), torch.stack(expected))


def test_soft_labels() -> None:
    weights = torch.tensor([[0.25, 0.75, 0.0, 0.0], [0.0, 0.5, 0.0, 0.5]], dtype=torch.float64)
    log_p = LOGITS[:2] - LOGITS[:2].exp().sum(1, keepdim=True).log()
    expected = torch.stack(
        [0.25 * log_p[0, 0] + 0.75 * log_p[0, 1], 0.5 * log_p[1, 1] + 0.5 * log_p[1, 3]],
    )
    torch.testing.assert_close(LogPosterior()(LOGITS[:2], weights), expected)


def test_one_hot_soft_labels_are_hard_ones() -> None:
    one_hot = torch.nn.functional.one_hot(LABELS, 4).double()
    torch.testing.assert_close(LogPosterior()(LOGITS, one_hot), LogPosterior()(LOGITS, LABELS))


def test_three_soft_columns_with_a_fake_logit_normalise_over_all_four() -> None:
    soft = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
    padded = torch.tensor([[0.5, 0.5, 0.0, 0.0]], dtype=torch.float64)
    score = LogPosterior()(LOGITS[:1], soft)
    torch.testing.assert_close(score, LogPosterior()(LOGITS[:1], padded))
    raised = LOGITS[:1].clone()
    raised[0, 3] += 1
    assert LogPosterior()(raised, soft) < score, "a likelier fake class must lower the score"


@pytest.mark.parametrize("objective", [LogPosterior(), LogJoint(), LogMarginal()], ids=lambda kind: type(kind).__name__)
def test_low_precision_logits_are_scored_in_float32(objective: Objective) -> None:
    exact = objective(LOGITS.bfloat16().double(), LABELS)
    for dtype in (torch.bfloat16, torch.float16):
        score = objective(LOGITS.bfloat16().to(dtype), LABELS)
        assert score.dtype == torch.float32
        torch.testing.assert_close(score.double(), exact, rtol=1e-6, atol=1e-6)
    assert objective(LOGITS, LABELS).dtype == torch.float64


def test_log_joint_is_the_logit_of_the_class() -> None:
    logits = LOGITS.clone().requires_grad_(True)
    score = LogJoint()(logits, LABELS)
    expected = torch.stack([row[label] for row, label in zip(LOGITS, LABELS.tolist(), strict=True)])
    assert torch.equal(score.detach(), expected)
    assert torch.equal(gradient(score, logits), torch.nn.functional.one_hot(LABELS, 4).double())
    soft = torch.tensor([[0.25, 0.75, 0.0]], dtype=torch.float64)
    mixed = LogJoint()(logits[:1], soft)
    torch.testing.assert_close(mixed.detach(), 0.25 * LOGITS[:1, 0] + 0.75 * LOGITS[:1, 1])
    expected = torch.zeros(5, 4, dtype=torch.float64)
    expected[0, :3] = soft
    assert torch.equal(gradient(mixed, logits), expected)


def test_log_marginal_reads_no_label() -> None:
    logits = LOGITS.clone().requires_grad_(True)
    score = LogMarginal()(logits, LABELS)
    torch.testing.assert_close(score.detach(), LOGITS.exp().sum(1).log())
    torch.testing.assert_close(gradient(score, logits), LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True))
    assert torch.equal(LogMarginal()(logits, LABELS.flip(0)), score)
    assert torch.equal(LogMarginal()(logits, torch.rand(5, 3)), score)


def test_the_three_add_up() -> None:
    """log p(x, y) = log p(y|x) + log p(x)."""
    both = LogPosterior()(LOGITS, LABELS) + LogMarginal()(LOGITS, LABELS)
    torch.testing.assert_close(both, LogJoint()(LOGITS, LABELS))


def test_only_the_latent_gaussian_renews_or_reads_anything_but_logits(model: MaxMahalanobisClassifier) -> None:
    for objective in (LogPosterior(), LogJoint(), LogMarginal()):
        assert objective.layers == () and not objective.renews_targets
        assert objective.targets(LABELS, seed=1, step=2, chain_ids=None) is LABELS
    staged, injected = LatentGaussian(model), LatentGaussian(model, "injected")
    assert staged.layers == injected.layers == ("embedding",)
    assert (staged.renews_targets, injected.renews_targets) == (False, True)
    with pytest.raises(InputError, match=r"sampling .*'once'"):
        LatentGaussian(model, "once")  # type: ignore[arg-type]


def test_latent_gaussian_is_equation_8(model: MaxMahalanobisClassifier, start: Tensor) -> None:
    objective, x = LatentGaussian(model), start.clone().requires_grad_(True)
    z = objective.targets(LABELS[:1].repeat(6), seed=0, step=0, chain_ids=None)
    logits, (phi,) = model.logits_and_features(x, objective.layers)
    score = objective(logits, z, phi)
    pairs = list(zip(phi.tolist(), z.tolist(), strict=True))
    by_hand = [-sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) / 2 for pair in pairs]
    torch.testing.assert_close(score.detach(), torch.tensor(by_hand, dtype=torch.float64))
    (expected,) = torch.autograd.grad(model.network(x), x, z - phi.detach())
    torch.testing.assert_close(gradient(score, x), expected)


def test_the_gradient_of_injected_sampling_is_that_of_equation_10(
    model: MaxMahalanobisClassifier, start: Tensor, target: Tensor
) -> None:
    """∂E(x')/∂x' = ∂E(x', y')/∂x' − (1/γ)·⟨∂φ(x')/∂x', z⟩, and E(x') by equation 9; the objective is −γ²·E."""
    objective, x = LatentGaussian(model, "injected"), start.clone().requires_grad_(True)
    z = noise.normal((6, 5), seed=SEED, step=4, chain_ids=IDS, stream=noise.Stream.LATENT).double()
    aim = objective.targets(target, seed=SEED, step=4, chain_ids=IDS)
    logits, (phi,) = model.logits_and_features(x, objective.layers)
    energy = -objective(logits, aim, phi) / model.variance
    distance = (phi - model.centres[target]).square().sum(1)
    root = model.variance.sqrt()
    inner = ((phi - model.centres[target]) * z).sum(1)
    torch.testing.assert_close(energy, distance / 1.4 + z.square().sum(1) / 2 - inner / root)
    (modulated,) = torch.autograd.grad(phi, x, z, retain_graph=True)
    torch.testing.assert_close(gradient(energy, x), gradient(distance / 1.4, x) - modulated / root)
    torch.testing.assert_close(-logits.gather(1, target[:, None])[:, 0], distance / 1.4)


def test_targets_are_the_means_with_noise_of_the_contract(model: MaxMahalanobisClassifier, target: Tensor) -> None:
    objective = LatentGaussian(model)
    z = noise.normal((6, 5), seed=SEED, step=3, chain_ids=IDS, stream=noise.Stream.LATENT).double()
    hard = objective.targets(target, seed=SEED, step=3, chain_ids=IDS)
    torch.testing.assert_close(hard, model.centres[target] + 0.7**0.5 * z)
    one_hot = torch.nn.functional.one_hot(target, 3).float()
    assert torch.equal(objective.targets(one_hot, seed=SEED, step=3, chain_ids=IDS), hard)
    soft = objective.targets(torch.tensor([[0.25, 0.75, 0.0]] * 6), seed=SEED, step=3, chain_ids=IDS)
    torch.testing.assert_close(soft, 0.25 * model.centres[0] + 0.75 * model.centres[1] + 0.7**0.5 * z)
    model.variance.fill_(0.1)
    now = objective.targets(target, seed=SEED, step=3, chain_ids=IDS)  # by γ² as it stands
    torch.testing.assert_close(now, model.centres[target] + 0.1**0.5 * z)


def test_targets_differ_by_chain_seed_and_step_and_by_nothing_else(model: MaxMahalanobisClassifier) -> None:
    objective, asked = LatentGaussian(model), torch.zeros(1000, dtype=torch.int64)

    def targets(ids: Tensor, seed: int = SEED, step: int | Tensor = 0) -> Tensor:
        return objective.targets(asked[: len(ids)], seed=seed, step=step, chain_ids=ids)

    all_of_them = targets(torch.arange(1000))
    assert len(all_of_them.unique(dim=0)) == 1000
    some = torch.tensor([999, 3, 500])
    assert torch.equal(targets(some), all_of_them[some])
    assert torch.equal(targets(some[1:2]), all_of_them[3:4])
    for other in (targets(some, seed=SEED + 1), targets(some, step=1)):
        assert not bool((other == all_of_them[some]).any())
    assert torch.equal(targets(some, step=torch.tensor([7])), targets(some, step=7)), "a step on the device"


def test_the_law_of_the_targets(model: MaxMahalanobisClassifier) -> None:
    """N(μ_y, γ²·I) over 20,000 chains at one step, and over 20,000 steps of one chain; bounds are five sigmas."""
    count, objective = 20_000, LatentGaussian(model, "injected")
    label = torch.full((count,), 2)
    over_chains = objective.targets(label, seed=3, step=9, chain_ids=torch.arange(count))
    one = torch.tensor([42])
    over_steps = [objective.targets(label[:1], seed=3, step=step, chain_ids=one) for step in range(count // 10)]
    for drawn in (over_chains, torch.cat(over_steps)):
        spread, most = (drawn - model.centres[2]), 5 / len(drawn) ** 0.5
        assert float(spread.mean(0).abs().max()) < most * 0.7**0.5
        covariance = spread.T @ spread / len(drawn) / 0.7
        assert float((covariance - torch.eye(5)).abs().max()) < most * 2**0.5


def moved(model: MaxMahalanobisClassifier, x: Tensor, aim: Tensor, sampler: GRMALA, step: int) -> Tensor:
    """Equation 8, or equation 10, with the noise that the sampler adds beside it."""
    x = x.clone().requires_grad_(True)
    energy = (model.network(x) - aim).square().sum(1) / 2
    langevin = noise.normal(x.shape, seed=SEED, step=step, chain_ids=IDS).double()
    return (x - sampler.eps1 * gradient(energy, x) + sampler.eps3 * langevin).detach().clamp(-1, 1)


@pytest.mark.parametrize("sampling", ["staged", "injected"])
@pytest.mark.parametrize("eps3", [0.0, 0.01])
def test_a_run_is_equation_8_or_10(
    model: MaxMahalanobisClassifier, start: Tensor, target: Tensor, sampling: Any, eps3: float
) -> None:
    objective, sampler = LatentGaussian(model, sampling), GRMALA(steps=4, eps1=0.1, eps2=0.0, eps3=eps3)
    expected = start
    for step in range(7, 11):
        drawn_at = 7 if sampling == "staged" else step
        aim = objective.targets(target, seed=SEED, step=drawn_at, chain_ids=IDS)
        expected = moved(model, expected, aim, sampler, step)
    run = sampler.run(model, start, target, seed=SEED, objective=objective, first_step=7, chain_ids=IDS, trace_every=1)
    torch.testing.assert_close(run.x, expected)
    assert float((run.x - start).abs().max()) > 0.05 and len(run.trace) == 4


@pytest.mark.parametrize("sampling", ["staged", "injected"])
def test_a_run_makes_its_targets_as_often_as_it_should(
    model: MaxMahalanobisClassifier, start: Tensor, target: Tensor, sampling: Any
) -> None:
    class Watched(LatentGaussian):
        held: list[Tensor]

        def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
            self.held.append(target.clone())
            return super().__call__(logits, target, *features)

    def held(first_step: int = 0, seed: int = SEED) -> list[Tensor]:
        objective = Watched(model, sampling)
        objective.held = []
        sampler = GRMALA(steps=3, eps1=0.01, eps2=0.0)
        sampler.run(model, start, target, seed=seed, objective=objective, first_step=first_step, chain_ids=IDS)
        return objective.held

    first, second, third = held()
    same = [torch.equal(first, second), torch.equal(second, third), torch.equal(first, third)]
    assert same == [sampling == "staged"] * 3
    assert not torch.equal(held(first_step=3)[0], first) and not torch.equal(held(seed=SEED + 1)[0], first)


@pytest.mark.parametrize("sampling", ["staged", "injected"])
def test_a_chain_alone_is_the_chain_among_others(
    model: MaxMahalanobisClassifier, start: Tensor, target: Tensor, sampling: Any
) -> None:
    """To rounding: convolutions round by batch. The public code's mean over the batch would be six times shorter."""
    objective, sampler = LatentGaussian(model, sampling), GRMALA(steps=5, eps1=0.01, eps2=0.0, eps3=0.01)

    def run(rows: slice) -> Tensor:
        return sampler.run(model, start[rows], target[rows], seed=SEED, objective=objective, chain_ids=IDS[rows]).x

    together = run(slice(None))
    for chain in range(6):
        torch.testing.assert_close(run(slice(chain, chain + 1)), together[chain : chain + 1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("label", ["hard", "soft"])
@pytest.mark.parametrize("sampling", ["staged", "injected"])
def test_captured_steps_draw_the_targets_that_eager_ones_draw(
    gpu: Any, model: MaxMahalanobisClassifier, start: Tensor, target: Tensor, sampling: Any, label: str
) -> None:
    model, objective = model.float(), LatentGaussian(model, sampling)
    if label == "soft":
        target = torch.lerp(torch.eye(3)[target], torch.eye(3)[target.flip(0)], 0.3)

    def run(**settings: Any) -> Tensor:
        sampler = GRMALA(steps=STEPS, eps1=0.01, eps2=0.0, eps3=0.01, **settings)
        return sampler.run(model, start.float(), target, seed=SEED, objective=objective, first_step=5, chain_ids=IDS).x

    eager = run(capture=False)
    assert gpu.graphs == []
    assert torch.equal(run(), eager) and gpu.replays > 0
