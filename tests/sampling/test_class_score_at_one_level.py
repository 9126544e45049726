# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains of a score that is known at one noise level: equation 3 along s(x) + w·∇log p(y|x), Gram term and all."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import ScoreClassifier, ScoreUNet, ScoreWideResNet
from stic_fast.ops import noise
from stic_fast.sampling import GRMALA, AnnealedGRMALA, ClassScore, GramRegulariser, Guidance, Steps

TARGET = torch.tensor([0, 2, 1])


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def x() -> Tensor:
    return torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def model() -> ScoreWideResNet:
    torch.manual_seed(0)
    return ScoreWideResNet(depth=10, width=1, num_classes=3, in_channels=1).eval()


def uphill(model: ScoreClassifier, x: Tensor, weight: float) -> Tensor:
    x = x.clone().requires_grad_()
    logp = model(x).log_softmax(1).gather(1, TARGET[:, None]).sum()
    (gradient,) = torch.autograd.grad(logp, x)
    return (model.score(x, model.sigma_read) + weight * gradient).detach()


def test_a_step_is_along_the_score_and_the_class(model: ScoreWideResNet, x: Tensor) -> None:
    sampler, objective = GRMALA(steps=1, eps1=0.05, eps2=0.0, eps3=0.01), ClassScore(Guidance(0.0, classifier=2.0))
    moved = sampler.run(model, x, TARGET, seed=3, objective=objective).x
    expected = x + 0.05 * uphill(model, x, 2.0) + 0.01 * noise.normal(x.shape, seed=3, step=0)
    torch.testing.assert_close(moved, expected.clamp(-1, 1))


def test_a_gram_term_leads_towards_the_matrices_of_its_references(model: ScoreWideResNet, x: Tensor) -> None:
    gram, objective = GramRegulariser.from_images(model, x.flip(0), layers=model.gram_layers), ClassScore()
    sampler = GRMALA(steps=8, eps1=0.0, eps2=0.2, eps3=0.0)
    result = sampler.run(model, x, TARGET, seed=0, gram=gram, objective=objective, trace_every=1)
    losses = [record.gram_loss for record in result.trace]
    assert losses[-1] < losses[0] and all(record.grad_gram_norm > 0 for record in result.trace)


def test_the_label_counts_for_nothing_where_the_score_takes_none(model: ScoreWideResNet, x: Tensor) -> None:
    sampler = GRMALA(steps=3, eps1=0.05, eps2=0.0)
    drawn = [
        sampler.run(model, x, TARGET, seed=0, objective=ClassScore(Guidance(label=label, classifier=1.0))).x
        for label in (0.0, 1.0, 3.0)
    ]
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])


def test_steps_without_a_noise_level_are_at_the_one_of_reading(x: Tensor) -> None:
    torch.manual_seed(0)
    model = ScoreUNet(channels=(4, 8), num_classes=3, in_channels=1, sigma_read=0.2).eval()
    torch.nn.init.constant_(model.out_gain, 0.5)
    objective = ClassScore(Guidance(label=1.0, classifier=1.0))
    one, same, other = (
        GRMALA().run(model, x, TARGET, seed=0, objective=objective, steps=Steps(2, 0.02, sigma=sigma)).x
        for sigma in (None, 0.2, 0.3)
    )
    assert torch.equal(one, same) and not torch.allclose(one, other)


def test_other_noise_levels_are_refused_in_a_sentence(model: ScoreWideResNet, x: Tensor) -> None:
    with pytest.raises(InputError, match=r"^this network knows the score at sigma_read=0.3 alone, got 80"):
        AnnealedGRMALA(steps=2).run(model, x, TARGET, seed=0, objective=ClassScore())
    with pytest.raises(InputError, match=r"^a score is of a noise level above 0, got 0.0; "):
        GRMALA().run(model, x, TARGET, seed=0, objective=ClassScore(), steps=Steps(1, 0.1, sigma=0.0))
