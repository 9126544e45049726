# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Gradients for callers in torch.inference_mode(), of models of any precision, and of models that give none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import stic_fast
from stic_fast.errors import InputError, NoGradient
from stic_fast.evaluation import accuracy, check_gradient_masking, ood_scores, pgd, square_attack, train_judge
from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.models.gradients import gradient_of, outside_inference
from stic_fast.sampling import GRMALA, MALA, GramRegulariser, Recipe, draw_hard, draw_images

pytestmark = pytest.mark.usefixtures("one_thread")

IMAGES = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(12) % 3
X, Y = IMAGES[:3] / 127.5 - 1, torch.tensor([0, 1, 2])


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return WideResNet(depth=10, width=1, num_classes=3, in_channels=1)


def calls(model: Classifier) -> dict[str, Callable[[], Tensor]]:
    def stepped() -> Tensor:
        sampler = GRMALA(steps=2)
        return sampler.step(sampler.init(model, X, Y, seed=0)).x

    def drawn() -> Tensor:
        asked = draw_hard(LABELS, Y, torch.arange(3), seed=0)
        return draw_images(model, Recipe(GRMALA(steps=2)), asked, IMAGES, LABELS, seed=0).float()

    return {
        "GRMALA": lambda: GRMALA(steps=2).run(model, X, Y, seed=0).x,
        "a step": stepped,
        "a Gram term": lambda: (
            GRMALA(steps=2).run(model, X, Y, seed=0, gram=GramRegulariser.from_images(model, X.flip(0))).x
        ),
        "images": drawn,
        "PGD": lambda: pgd(model, IMAGES, LABELS, 3, epsilon=0.1, seed=0, steps=2).survived.float(),
        "Square": lambda: square_attack(model, IMAGES, LABELS, 3, epsilon=0.1, seed=0, queries=3).survived.float(),
        "scores": lambda: torch.stack(list(ood_scores(model, IMAGES, 3).values())),
        "accuracy": lambda: torch.tensor(accuracy(model, IMAGES, LABELS, 3)),
    }


@pytest.mark.parametrize("name", calls(WideResNet(depth=10, width=1, num_classes=3, in_channels=1)))
def test_inference_mode_changes_nothing(model: Classifier, name: str) -> None:
    expected = calls(model)[name]()
    with torch.inference_mode():
        found = calls(model)[name]()
    assert torch.equal(found, expected)


def test_inference_mode_around_a_density_and_a_judge() -> None:
    def run() -> Tensor:
        return MALA(steps=2, eps1=0.1).run(lambda x: -x.square().sum(1), torch.zeros(3, 2), seed=0).x

    expected, judge = run(), train_judge(IMAGES, LABELS, 3, iterations=2, seed=0)
    with torch.inference_mode():
        assert torch.equal(run(), expected)
        again = train_judge(IMAGES, LABELS, 3, iterations=2, seed=0)
        styled = stic_fast.texture(torch.zeros(1, 16, 16), size=(16, 16), steps=1)
    assert all(torch.equal(one, two) for one, two in zip(judge.parameters(), again.parameters(), strict=True))
    assert not any(parameter.is_inference() for parameter in again.parameters()) and not styled.is_inference()


def test_weights_from_inference_mode_are_told() -> None:
    with torch.inference_mode():
        model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    with pytest.raises(InputError, match=r"the weights of WideResNet were made in torch.inference_mode\(\) and can"):
        GRMALA(steps=1).run(model, X, Y, seed=0)


def test_gradients_stay_off_where_they_are_off() -> None:
    @outside_inference
    def enabled(x: Tensor) -> bool:
        assert not x.is_inference() and not torch.is_inference_mode_enabled()
        return torch.is_grad_enabled()

    with torch.inference_mode():
        assert not enabled(torch.ones(1))
    with torch.no_grad():
        assert not enabled(torch.ones(1))
    assert enabled(torch.ones(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_models_of_any_precision_are_read_in_their_own(model: Classifier, dtype: torch.dtype) -> None:
    expected = {name: call() for name, call in calls(model).items()}
    model.to(dtype)
    for name, call in calls(model).items():
        found = call().float()
        near = {torch.float64: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}[dtype]
        assert found.isfinite().all() and (found - expected[name].float()).abs().mean() <= near * max(
            1.0, float(expected[name].float().abs().mean())
        ), name
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).to(dtype)
    assert accuracy(plain, IMAGES, LABELS, 3) <= 1 and ood_scores(plain, IMAGES, 3)["gradient"].isfinite().all()


def test_a_model_without_a_gradient_is_told_and_the_check_has_a_verdict() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()

    def hidden(x: Tensor) -> Tensor:
        return network(x.detach())  # type: ignore[no-any-return]

    labels = network(IMAGES / 127.5 - 1).argmax(1)
    with pytest.raises(NoGradient, match=r"the model gives no gradient in its input: it leaves autograd, by detach"):
        pgd(hidden, IMAGES, labels, 3, epsilon=0.1, seed=0, steps=2)
    with pytest.raises(NoGradient):
        ood_scores(hidden, IMAGES, 3)
    check = check_gradient_masking(hidden, IMAGES, labels, 3, epsilon=0.5, seed=0, steps=2, stronger_steps=2)
    assert check.masked and check.base.accuracy == 1 and check.accuracy < 1
    assert check.base.name == "PGD without a gradient at 127.5/255" and check.base.name in check.verdict
    wrapped = wrap(nn.Sequential(nn.Flatten(), _Detached(), nn.Linear(64, 3)), gram_layers=[], num_classes=3)
    with pytest.raises(NoGradient):
        GRMALA(steps=1).run(wrapped, X, Y, seed=0)


class _Detached(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


def test_a_gradient_of_what_does_not_depend_on_x() -> None:
    x, other = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    with pytest.raises(NoGradient):
        gradient_of(other.sum(), x)
    assert torch.equal(gradient_of((x * other).sum(), x, keep_graph=True), torch.ones(2))
