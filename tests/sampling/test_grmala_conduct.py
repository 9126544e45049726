# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""GRMALA leaves the network and its graph as they were, does no pass too many, and says what went wrong."""

from __future__ import annotations

import re
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models import Classifier, WideResNet, wrap
from stic_fast.sampling import GRMALA, GramRegulariser


class Counted(torch.autograd.Function):
    """The identity, counting how often it runs in each direction."""

    calls: dict[str, int]

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        Counted.calls["forward"] += 1
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        Counted.calls["backward"] += 1
        return gradient


class Turnstile(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Counted.apply(x)  # type: ignore[no-any-return]


@pytest.fixture
def counted() -> Classifier:
    Counted.calls = {"forward": 0, "backward": 0}
    torch.manual_seed(0)
    net = nn.Sequential(Turnstile(), nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3)).double()
    return wrap(net, gram_layers=["1"], num_classes=3)


def passes(
    model: Classifier, start: Tensor, target: Tensor, *, gram: bool, trace_every: int = 0, **options: Any
) -> Any:
    regulariser = GramRegulariser.from_images(model, start.flip(0)) if gram else None
    Counted.calls = {"forward": 0, "backward": 0}
    GRMALA(steps=5, **options).run(model, start, target, seed=0, gram=regulariser, trace_every=trace_every)
    return Counted.calls["forward"], Counted.calls["backward"]


def test_one_forward_and_one_backward_pass_a_step(counted: Classifier, start: Tensor, target: Tensor) -> None:
    assert passes(counted, start, target, gram=False) == (5, 5)
    assert passes(counted, start, target, gram=False, trace_every=1) == (5, 5)
    assert passes(counted, start, target, gram=True) == (5, 5)
    assert passes(counted, start, target, gram=True, max_gram_ratio=1.0) == (5, 10)
    # Steps 0, 3 and the last are traced, each by two further backward passes.
    assert passes(counted, start, target, gram=True, trace_every=3) == (5, 5 + 2 * 3)


def test_features_die_with_their_step(net: WideResNet, start: Tensor, target: Tensor) -> None:
    gram = GramRegulariser.from_images(net, start.flip(0))
    seen: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def remember(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.append(weakref.ref(output))

    net.stem.register_forward_hook(remember)
    result = GRMALA(steps=4).run(
        net,
        start,
        target,
        seed=0,
        gram=gram,
        trace_every=2,
        on_step=lambda _: alive.append(sum(feature() is not None for feature in seen)),
    )
    assert len(seen) == 4 and alive == [0, 0, 0, 0]
    assert result.x.grad_fn is None and not result.x.requires_grad


@pytest.mark.parametrize("dead", [False, True])
def test_the_network_is_as_before(net: WideResNet, start: Tensor, target: Tensor, dead: bool) -> None:
    net.train()
    net.head.eval()
    net.stem.requires_grad_(False)
    learning = {name: p.requires_grad for name, p in net.named_parameters()}
    training = [module.training for module in net.modules()]
    weights = {name: p.detach().clone() for name, p in net.named_parameters()}
    kept = start.clone()

    def stop(_: object) -> None:
        if dead:
            raise KeyboardInterrupt

    gram = GramRegulariser.from_images(net, start.flip(0))
    try:
        GRMALA(steps=2).run(net, start, target, seed=0, gram=gram, on_step=stop)
        assert not dead
    except KeyboardInterrupt:
        assert dead
    assert {name: p.requires_grad for name, p in net.named_parameters()} == learning
    assert [module.training for module in net.modules()] == training
    assert all(p.grad is None and torch.equal(p, weights[name]) for name, p in net.named_parameters())
    assert torch.equal(start, kept)


def test_a_surrounding_no_grad_does_not_matter(net: WideResNet, start: Tensor, target: Tensor) -> None:
    sampler = GRMALA(steps=2)
    expected = sampler.run(net, start, target, seed=0).x
    with torch.no_grad():
        assert torch.equal(sampler.run(net, start, target, seed=0).x, expected)
    leaf = start.clone().requires_grad_(True)
    result = sampler.run(net, leaf, target, seed=0).x
    assert torch.equal(result, expected) and not result.requires_grad and leaf.grad is None


def test_no_steps_return_the_start(net: WideResNet, start: Tensor, target: Tensor) -> None:
    result = GRMALA(steps=0).run(net, start, target, seed=0, trace_every=1)
    assert torch.equal(result.x, start) and result.trace == []
    result.x.zero_()
    assert start.abs().sum() > 0, "the start must not be overwritten through the result"


def test_an_empty_batch(net: WideResNet, start: Tensor, target: Tensor) -> None:
    gram = GramRegulariser.from_images(net, start[:0])
    for sampler in (GRMALA(steps=2), GRMALA(steps=2, max_gram_ratio=1.0)):
        result = sampler.run(net, start[:0], target[:0], seed=0, gram=gram, trace_every=1)
        assert result.x.shape == (0, 1, 8, 8) and result.trace == []


def test_a_start_of_another_layout(net: WideResNet, start: Tensor, target: Tensor) -> None:
    sampler, transposed = GRMALA(steps=2), start.transpose(2, 3)
    expected = sampler.run(net, transposed.contiguous(), target, seed=0).x
    torch.testing.assert_close(sampler.run(net, transposed, target, seed=0).x, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_start_that_is_not_finite_names_the_chain(
    net: WideResNet, start: Tensor, target: Tensor, value: float
) -> None:
    start[4, 0, 3, 3] = value
    with pytest.raises(InputError, match=r"x has .*chain 4"):
        GRMALA(steps=1).run(net, start, target, seed=0)


def test_more_steps_than_noise_has_numbers_for(net: WideResNet, start: Tensor, target: Tensor) -> None:
    GRMALA(steps=1).run(net, start, target, seed=0, first_step=2**32 - 1)
    with pytest.raises(InputError, match=r"steps .*4294967296"):
        GRMALA(steps=2).run(net, start, target, seed=0, first_step=2**32 - 1)


def test_a_start_that_does_not_fit(net: WideResNet, start: Tensor, target: Tensor) -> None:
    with pytest.raises(InputError, match=r"x .*6 .*target 5"):
        GRMALA(steps=1).run(net, start, target[:5], seed=0)
    with pytest.raises(InputError, match=r"x .*torch.uint8"):
        GRMALA(steps=1).run(net, start.to(torch.uint8), target, seed=0)


class Broken(Classifier):
    """Its gradient is NaN wherever the first pixel is positive."""

    def __init__(self) -> None:
        super().__init__(num_classes=3, has_fake_class=False, layer_names=[], gram_layers=[])

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        pixels = x.flatten(1)
        return pixels[:, :3] + torch.sqrt(-pixels[:, :1]), {}


def test_divergence_is_told_with_its_mends(start: Tensor, target: Tensor) -> None:
    start[:, 0, 0, 0] = torch.tensor([-0.5, 0.5, -0.5, 0.5, -0.5, -0.5])
    with pytest.raises(InputError) as caught:
        GRMALA(steps=2, eps1=0.5).run(Broken(), start, target, seed=0)
    message = str(caught.value)
    assert message.startswith("2 of 6 chains diverged to NaN (first: chain 1)")
    assert "lower eps1=0.5 or eps2=0.95" in message and "'log'" in message and "max_gram_ratio=1" in message


@pytest.mark.parametrize(
    "options",
    [
        {"steps": -1},
        {"schedule": "square"},
        {"precision": "fp8"},
        {"layout": "nchw"},
        {"eps3": -0.1},
        {"eps1": float("nan")},
        {"max_gram_ratio": float("inf")},
        {"clamp": (1.0, -1.0)},
    ],
)
def test_settings_out_of_range(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(InputError, match=f"^{name} .*{re.escape(repr(value))}"):
        GRMALA(**options)


def test_progress_is_told_every_step(net: WideResNet, start: Tensor, target: Tensor) -> None:
    steps: list[int] = []
    GRMALA(steps=3).run(net, start, target, seed=0, on_step=lambda _: steps.append(1))
    assert len(steps) == 3
