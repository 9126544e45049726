# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Adam on chains: it is PyTorch's Adam, with the native op's noise and box, step by step as in a run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.errors import Diverged, InputError
from stic_fast.models import WideResNet
from stic_fast.ops import noise
from stic_fast.sampling import Adam, GramRegulariser


def quartic(x: Tensor) -> Tensor:
    return -(x - 0.3).pow(4).sum((1, 2, 3)) + x.sum((1, 2, 3)) / 7


def test_it_is_adam(start: Tensor) -> None:
    sampler = Adam(steps=40, eps1=0.02, beta1=0.6, beta2=0.95, clamp=None)
    ours = sampler.run(quartic, start, seed=0).x
    x = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([x], lr=0.02, betas=(0.6, 0.95), eps=0.0, maximize=True)
    for _ in range(40):
        optimiser.zero_grad()
        quartic(x).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    torch.testing.assert_close(ours, x.detach(), rtol=0, atol=1e-12)


def test_steps_of_ones_own_are_a_run(start: Tensor) -> None:
    sampler = Adam(steps=12, eps1=0.1, eps3=0.05, schedule="linear")
    state = sampler.init(quartic, start, seed=3)
    for _ in range(12):
        state = sampler.step(state)
    assert torch.equal(state.x, sampler.run(quartic, start, seed=3).x)
    assert state.x.abs().max() <= 1, "in the box"


def test_noise_is_that_of_the_address(start: Tensor) -> None:
    where: dict[str, Any] = {"seed": 3, "first_step": 5, "chain_ids": torch.arange(6) + 9}
    still = Adam(steps=1, eps1=0.1, clamp=None).run(quartic, start, **where).x
    moved = Adam(steps=1, eps1=0.1, eps3=0.2, clamp=None).run(quartic, start, **where).x
    kick = noise.normal(start.shape, seed=3, step=5, chain_ids=torch.arange(6) + 9, dtype=torch.float64)
    torch.testing.assert_close(moved - still, 0.2 * kick)


def test_a_gram_term_is_a_share_of_the_gradient(net: WideResNet, start: Tensor, target: Tensor) -> None:
    gram = GramRegulariser.from_images(net, start.flip(0))
    ours = Adam(steps=1, eps1=0.2, eps2=3.0, clamp=None).run(net, start, target, seed=0, gram=gram).x
    x = start.clone().requires_grad_(True)
    logits, features = net.logits_and_features(x, gram.layers)
    score = torch.log_softmax(logits, 1).gather(1, target[:, None]).sum() - 3.0 * gram(features).sum()
    (gradient,) = torch.autograd.grad(score, x)
    torch.testing.assert_close(ours, start + 0.2 * gradient.sign(), rtol=0, atol=1e-9)


def test_pixels_without_a_gradient_rest(start: Tensor) -> None:
    moved = Adam(steps=5).run(lambda x: x[:, :, :4].sum((1, 2, 3)), start, seed=0).x != start
    assert bool(moved[:, :, :4].any()) and not bool(moved[:, :, 4:].any())


@pytest.mark.parametrize("settings", [{"eps1": -1.0}, {"beta1": 1.0}, {"beta2": -0.1}, {"steps": -1}])
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(settings))} must be"):
        Adam(**settings)


def test_a_chain_that_diverged_is_named(start: Tensor) -> None:
    start[2, 0, 0, 0] = 5.0
    with pytest.raises(Diverged, match=r"1 of 6 chains diverged to NaN \(first: chain 2\); lower eps1=0.03"):
        Adam(steps=3, clamp=None).run(lambda x: (2 - x).sqrt().sum((1, 2, 3)), start, seed=0)
