# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""PGD and the Square attack: exact on classifiers whose worst case is known, one image's result its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.evaluation.attacks import AttackResult, pgd
from stic_fast.evaluation.class_scores import accuracy
from stic_fast.evaluation.out_of_distribution import ood_scores
from stic_fast.evaluation.square_attack import _square, square_attack, square_side
from stic_fast.models import WideResNet
from stic_fast.pixels import to_unit

EPSILONS = (0.0, 4 / 255, 8 / 255, 32 / 255)


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture
def images() -> Tensor:
    """Sixty images of noise; many pixels are at or near the edges of the box."""
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(60, 1, 8, 8, generator=generator) * 400 - 72).clamp(0, 255).to(torch.uint8)


def linear(classes: int, scale: float = 0.05) -> nn.Sequential:
    """A linear classifier of so many classes and a fake one that always has the largest logit."""
    torch.manual_seed(classes)
    layer = nn.Linear(64, classes + 1)
    with torch.no_grad():
        layer.weight.mul_(scale)
        layer.bias.fill_(0)
        layer.bias[-1] = 50
    return nn.Sequential(nn.Flatten(), layer).double()


def worst_margins(model: nn.Sequential, images: Tensor, labels: Tensor, classes: int, epsilon: float) -> Tensor:
    """min over the ball and the box of f_y − f_j, (N, C): each pixel at its worse end."""
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    x = to_unit(images).double().flatten(1)
    lower, upper = (x - 2 * epsilon).clamp(min=-1), (x + 2 * epsilon).clamp(max=1)
    weight, bias = layer.weight.detach()[:classes], layer.bias.detach()[:classes]
    towards = weight[labels].unsqueeze(1) - weight  # (N, C, 64)
    least = torch.where(towards > 0, lower.unsqueeze(1), upper.unsqueeze(1))
    margins = (towards * least).sum(2) + bias[labels].unsqueeze(1) - bias
    return margins.scatter(1, labels.unsqueeze(1), torch.inf)


def predicted(model: nn.Module, images: Tensor, classes: int) -> Tensor:
    with torch.no_grad():
        return model(to_unit(images).double())[:, :classes].argmax(1)


@pytest.mark.parametrize("loss", ["cross-entropy", "margin"])
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_pgd_finds_the_worst_case_of_a_linear_classifier(images: Tensor, epsilon: float, loss: str) -> None:
    model = linear(2)
    labels = predicted(model, images, 2)
    labels[:5] = 1 - labels[:5]  # some classified wrongly from the start
    exact = worst_margins(model, images, labels, 2, epsilon).amin(1) > 0
    found = pgd(model, images, labels, 2, epsilon=epsilon, seed=0, loss=loss)  # type: ignore[arg-type]
    assert torch.equal(found.survived, exact)
    assert found.accuracy == float(exact.double().mean())


def test_radii_tried_part_the_images() -> None:
    """So that the test above asks something at every radius."""
    generator = torch.Generator().manual_seed(1)
    images = (torch.rand(60, 1, 8, 8, generator=generator) * 400 - 72).clamp(0, 255).to(torch.uint8)
    labels = predicted(linear(2), images, 2)
    exact = [int((worst_margins(linear(2), images, labels, 2, epsilon).amin(1) > 0).sum()) for epsilon in EPSILONS]
    assert exact[0] == 60 > exact[1] > exact[2] > exact[3]


@pytest.mark.parametrize("attack", [pgd, square_attack])
@pytest.mark.parametrize("epsilon", EPSILONS[1:])
def test_no_attack_beats_the_worst_case(images: Tensor, epsilon: float, attack: Callable[..., AttackResult]) -> None:
    model = linear(4)
    labels = predicted(model, images, 4)
    exact = worst_margins(model, images, labels, 4, epsilon).amin(1) > 0
    found = attack(model, images, labels, 4, epsilon=epsilon, seed=0)
    assert (found.survived | ~exact).all()
    assert int(found.survived.sum()) - int(exact.sum()) <= 9  # of 60; Square's 500 queries are few


@pytest.mark.parametrize("attack", [pgd, square_attack])
def test_no_radius_leaves_the_classifier_s_own_accuracy(images: Tensor, attack: Callable[..., AttackResult]) -> None:
    model, labels = linear(3).float(), torch.arange(60) % 3
    assert 0 < accuracy(model, images, labels, 3) < 1
    assert attack(model, images, labels, 3, epsilon=0, seed=0).accuracy == accuracy(model, images, labels, 3)


@pytest.mark.parametrize("attack", [pgd, square_attack])
def test_attacked_images_are_near_in_the_box_and_wrong(images: Tensor, attack: Callable[..., AttackResult]) -> None:
    model, epsilon = linear(3), 8 / 255
    labels = predicted(model, images, 3)
    labels[0] = (labels[0] + 1) % 3
    found = attack(model, images, labels, 3, epsilon=epsilon, seed=0, keep_images=True)
    assert found.images is not None and found.images.shape == images.shape
    assert found.images.abs().max() <= 1
    assert (found.images - to_unit(images)).abs().max() <= 2 * epsilon + 1e-6
    right = model(found.images)[:, :3].argmax(1) == labels
    assert torch.equal(right, found.survived)
    assert 0 < int(found.survived.sum()) < 59
    assert torch.equal(found.images[0], to_unit(images[:1])[0].double())  # wrong as it was: left alone


@pytest.fixture
def net(images: Tensor) -> WideResNet:
    """A network, its last layer centred so that the images lie on all sides of its boundaries."""
    torch.manual_seed(0)
    net = WideResNet(depth=10, width=1, num_classes=3, in_channels=1).double()
    with torch.no_grad():
        net.head.bias -= net(to_unit(images).double()).mean(0)
    return net


@pytest.mark.parametrize("attack", [pgd, square_attack])
def test_an_image_s_result_is_its_own(net: WideResNet, images: Tensor, attack: Callable[..., AttackResult]) -> None:
    labels = predicted(net, images, 3)
    size = {"steps": 5} if attack is pgd else {"queries": 20}
    options = {"epsilon": 8 / 255, "seed": 3, "keep_images": True, **size}
    whole = attack(net, images, labels, 3, **options)
    assert 0 < whole.accuracy < 1
    assert whole.images is not None
    for batch in (1, 17):
        again = attack(net, images, labels, 3, batch_size=batch, **options)
        assert torch.equal(again.survived, whole.survived)
        torch.testing.assert_close(again.images, whole.images, rtol=0, atol=1e-6)
    some = torch.tensor([40, 7, 8])
    sliced = attack(net, images[some], labels[some], 3, image_ids=some, **options)
    assert torch.equal(sliced.survived, whole.survived[some])
    torch.testing.assert_close(sliced.images, whole.images[some], rtol=0, atol=1e-6)
    other = attack(net, images, labels, 3, **{**options, "seed": 4})
    assert not torch.equal(other.images, whole.images)


class Watched(nn.Module):
    """Notes, at every forward pass, whether it trains and whether its weights would get gradients."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, set[tuple[bool, bool]]()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add((self.training, any(p.requires_grad for p in self.parameters())))
        logits: Tensor = self.net(x)
        return logits


def test_the_model_is_fixed_meanwhile_and_then_as_it_was_and_no_global_noise_drawn(
    net: WideResNet, images: Tensor
) -> None:
    model = Watched(net).train()
    labels, state = predicted(net, images, 3), torch.get_rng_state()
    for attack, size in ((pgd, {"steps": 2}), (square_attack, {"queries": 2})):
        with torch.no_grad():
            attack(model, images, labels, 3, epsilon=8 / 255, seed=0, **size)  # type: ignore[operator]
        with pytest.raises(InputError, match="for num_classes=9"):
            attack(model, images, labels, 9, epsilon=8 / 255, seed=0, **size)  # type: ignore[operator]
    assert model.seen == {(False, False)}
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_restarts_only_ever_find_more(net: WideResNet, images: Tensor) -> None:
    labels = predicted(net, images, 3)
    once = pgd(net, images, labels, 3, epsilon=4 / 255, seed=0, steps=1, step_size=0.0)
    often = pgd(net, images, labels, 3, epsilon=4 / 255, seed=0, steps=1, step_size=0.0, restarts=8)
    assert (once.survived | ~often.survived).all()
    assert often.survived.sum() < once.survived.sum()
    assert (once.name, often.name) == ("PGD-1 at 4/255", "PGD-1x8 at 4/255")


def test_steps_are_those_of_foolbox(net: WideResNet, images: Tensor) -> None:
    """Without random start, images that stand to the end have gone foolbox's way; those that fall there fall here."""
    pytest.importorskip("foolbox")
    from stic_fast.evaluation.carlini_wagner import load_foolbox

    foolbox, labels = load_foolbox(), predicted(net, images, 3)

    class RealClasses(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return net(x)[:, :3]

    options = {"steps": 6, "random_start": False}
    found = pgd(net, images, labels, 3, epsilon=3 / 255, seed=0, step_size=1 / 255, keep_images=True, **options)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        attack = foolbox.attacks.LinfPGD(abs_stepsize=2 / 255, **options)
        model = foolbox.PyTorchModel(RealClasses().eval(), bounds=(-1, 1), device="cpu")
        _, theirs, fell = attack(model, to_unit(images).double(), labels, epsilons=6 / 255)
    assert found.images is not None
    stand = found.survived
    assert 5 < int(stand.sum()) < 55
    torch.testing.assert_close(found.images[stand], theirs[stand], rtol=0, atol=1e-6)
    assert (~stand | ~fell).all()


def test_gradients_that_are_no_numbers_move_nothing(images: Tensor) -> None:
    """The square root's slope at 0 is infinite, and 0 times it no number."""
    model = lambda x: torch.cat([1 + 0 * x.relu().sum((1, 2, 3)).mul(0).sqrt()[:, None], x.flatten(1)[:, :1] / 4], 1)  # noqa: E731
    found = pgd(model, images, torch.zeros(60, dtype=torch.int64), 2, epsilon=8 / 255, seed=0, keep_images=True)
    assert found.images is not None and found.images.isfinite().all()
    assert found.accuracy == 1.0


def test_squares_shrink_and_lie_inside() -> None:
    sides = [square_side(query, 1000, 28, 32) for query in range(1, 1000)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == round((0.8 * 28 * 32) ** 0.5) == 27
    assert sides[-1] == 1
    assert square_side(1, 10**6, 4, 30) == 4  # no side longer than the image is
    u = torch.tensor([[0.0, 0.0], [1 - 2**-24, 1 - 2**-24], [0.5, 0.2]])
    squares = _square(u, 3, 5, 8)
    assert squares.shape == (3, 1, 5, 8)
    assert squares.sum((1, 2, 3)).tolist() == [9, 9, 9]
    assert squares[0, 0, :3, :3].all() and squares[1, 0, 2:, 5:].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 8.0}, "epsilon"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"steps": 0}, "steps"),
        ({"restarts": 3, "random_start": False}, "random_start"),
        ({"loss": "hinge"}, "loss 'hinge'"),
        ({"step_size": -1.0}, "step_size"),
        ({"seed": -1}, "seed"),
        ({"batch_size": 0}, "batch_size"),
        ({"image_ids": torch.arange(3)}, "image_ids"),
        ({"images": torch.zeros(60, 1, 8, 8)}, "images"),
        ({"labels": torch.full((60,), 3)}, "labels of images"),
        ({"num_classes": 1, "labels": torch.zeros(60, dtype=torch.int64)}, "num_classes"),
        ({"num_classes": 9}, "num_classes=9"),
    ],
)
def test_bad_input_is_refused_in_words(images: Tensor, change: dict[str, object], message: str) -> None:
    given = {"images": images, "labels": torch.arange(60) % 3, "num_classes": 3, "epsilon": 0.1, "seed": 0, **change}
    with pytest.raises(InputError, match=message):
        pgd(linear(3), **given)  # type: ignore[arg-type]
    if set(change) <= {"epsilon", "seed", "batch_size", "image_ids", "images", "labels", "num_classes"}:
        with pytest.raises(InputError, match=message):
            square_attack(linear(3), **given)  # type: ignore[arg-type]


def test_square_needs_queries(images: Tensor) -> None:
    with pytest.raises(InputError, match="queries"):
        square_attack(linear(3), images, torch.arange(60) % 3, 3, epsilon=0.1, seed=0, queries=0)


@pytest.mark.parametrize("pack", [lambda y: (y, y), lambda y: {"logits": y}, lambda y: [y]])
def test_models_that_return_more_than_logits_are_named(images: Tensor, pack: Callable[[Tensor], object]) -> None:
    def model(x: Tensor) -> object:
        return pack(x.flatten(1)[:, :3])

    labels = torch.zeros(len(images), dtype=torch.int64)
    for evaluate in (
        lambda: pgd(model, images, labels, 3, epsilon=0.1, seed=0, steps=1),
        lambda: square_attack(model, images, labels, 3, epsilon=0.1, seed=0, queries=1),
        lambda: ood_scores(model, images, 3),
        lambda: accuracy(model, images, labels, 3),
    ):
        with pytest.raises(InputError, match=r"^the model returned a (tuple|dict|list) instead of a tensor of logits"):
            evaluate()
