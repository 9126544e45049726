# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""WINN: a few critics that draw, each taught by the Wasserstein distance to what it drew itself.

Wasserstein Introspective Neural Networks (Lee, Xu, Fan and Tu, CVPR 2018, https://arxiv.org/abs/1711.08875).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from stic_fast.counts import Count, NotNegative
from stic_fast.models import Discriminator
from stic_fast.plots.curves import LOSS, Panel, Series
from stic_fast.plots.looks import BLUE, VERMILION
from stic_fast.training.igm import IMAGES, Told, of_terms, slopes_of
from stic_fast.training.inn import Inn, InnConfig
from stic_fast.training.method import Loss
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder

LEVELLED = 16
"""Batches of real images whose mean is the critic's zero."""


@dataclass(frozen=True)
class WinnConfig(InnConfig):
    """A WINN training run: passes are rounds; each network is a critic that is trained for several."""

    # Critics, each trained for as many rounds as the others, through which chains go one after the other.
    networks: Count | None = 5
    # Weight λ of λ·E(‖∇f(x̂)‖ − 1)², x̂ between real and drawn images.
    penalty: NotNegative = 10.0


PRESETS = {name: WinnConfig(**{**settings, "penalty": 10.0}) for name, settings in IMAGES.items()}
DISTANCE = Panel("Wasserstein distance", "critic's units", (Series("distance", "estimate", BLUE),))


class Winn(Inn):
    """Critics f of the Wasserstein distance between real images and those drawn, with a head for each class.

    A critic has no zero of its own, so after each round its mean of real images is taken for that: chains stop once
    they read as real ones do.
    """

    config: WinnConfig
    name, settings = "winn", WinnConfig
    summary = "WINN: a few Wasserstein critics with a head for each class, that draw images of each"
    presets, curves = PRESETS, (LOSS.beside(Series("loss_penalty", "penalty", VERMILION)), DISTANCE)

    def told_apart(self, real: Told, drawn: Told, iteration: int) -> Loss:
        """E f(drawn) − E f(real) + λ·E(‖∇f(x̂)‖ − 1)², x̂ evenly between the two."""
        distance = real.own.mean() - drawn.own.mean()
        share = self.real.shares(2, iteration)[:, None, None, None]
        between = (share * real.seen + (1 - share) * drawn.seen).detach().requires_grad_()
        slopes = slopes_of(Told(between, real.classes, self._odds(between)))
        penalty = self.config.penalty * (slopes.flatten(1).norm(dim=1) - 1).square().mean()
        terms = {"loss_distance": -distance, "loss_penalty": penalty}
        return of_terms(terms, {"distance": distance})

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """Sets the critic's zero, and goes on as INN does."""
        self._level(pass_number * self.config.iterations)
        return super().end_pass(pass_number, run, progress)

    @torch.no_grad()
    def _level(self, iteration: int) -> None:
        """Moves the bias of each class's head, which the loss leaves alone, so that its mean of real images is 0."""
        sums, counts = (torch.zeros(self.model.num_classes, device=self.ids.device) for _ in range(2))
        for number in range(LEVELLED):
            real, of = self.real.patches(3 + number, iteration, self._patch)
            classes = self.splits.train.labels[of]
            own = Told(real, classes, self._odds(real)).own.mean((1, 2))
            sums.index_add_(0, classes, own)
            counts.index_add_(0, classes, torch.ones_like(own))
        bias = cast(Tensor, cast(Discriminator, self.model).head.bias)
        bias -= (sums / counts.clamp_min(1)).to(bias.dtype)
