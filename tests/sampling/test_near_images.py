# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains that stay near an image: the direction is the gradient of both terms, patch by patch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models import Discriminator, WideResNet
from stic_fast.sampling import GRMALA, LogOdds, LogPosterior, NearImages, PatchSpace, Time


def test_the_direction_is_a_gradient() -> None:
    torch.manual_seed(0)
    critic = Discriminator(channels=(4, 8), in_channels=1).double()
    generator = torch.Generator().manual_seed(1)
    x, images = (torch.rand((2, 1, 20, 20), dtype=torch.float64, generator=generator) for _ in range(2))
    ids = torch.arange(2) + 3
    space = PatchSpace((1, 20, 20), patch=(15, 16), cover=0.5)
    assert space.count == 1

    def shown(of: Tensor, step: int | Tensor) -> Tensor:
        return space.view(of, seed=4, step=step, chain_ids=ids)

    def network(seen: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        return critic.logits_and_features(seen, layers)

    seen = shown(x, 7).detach().requires_grad_(True)
    near = NearImages(LogOdds(), images, 0.3, shown)
    climb = near.climb(network, seen, torch.zeros(2, dtype=torch.int64), Time(7))
    _, (odds,) = critic.logits_and_features(seen, ["log_odds"])
    total = 0.7 * odds.mean((1, 2, 3)) - 0.3 * (seen - shown(images, 7)).square().mean((1, 2, 3))
    torch.testing.assert_close(climb.direction, torch.autograd.grad(total.sum(), seen)[0])


def test_an_objective_without_a_direction() -> None:
    model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    start = torch.zeros(2, 1, 8, 8)
    near = NearImages(LogPosterior(), start, 0.5, lambda images, _: images)
    with pytest.raises(InputError, match="takes an objective that knows its direction; give LogOdds"):
        GRMALA(steps=1, eps2=0.0).run(model, start, torch.tensor([0, 1]), seed=0, objective=near)
