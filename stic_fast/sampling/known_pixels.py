# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains that know some pixels of their image, so that they draw the rest to fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.sampling.objective import Climb, Network, Objective, Time


class KnownPixels(Objective):
    r"""Another objective's score, but of the pixels Ω that are known to be y in the image without noise.

    Such a pixel with noise of deviation σ has the density N(y, σ²), whatever else the image shows:

    .. math:: s_Ω(x, σ) = (y - x_Ω)/σ²

    So the probability-flow equation takes it from y + σ·z at one level to y + σ'·z at the next, z being the noise it
    began with: known pixels are at every level the image's with that level's noise (Song et al. 2021, section 5,
    https://arxiv.org/abs/2011.13456), and the image's own at the end. The network sees them beside what it draws.

    Args:
        objective: one that knows its direction, such as `ClassScore`.
        images: y, float (chains, channels, height, width) in [−1, 1].
        known: Ω, bool, in a shape that broadcasts with them.
    """

    def __init__(self, objective: Objective, images: Tensor, known: Tensor) -> None:
        self.objective, self.images, self.known = objective, images, known
        self.layers, self.renews_targets = objective.layers, objective.renews_targets

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return self.objective(logits, target, *features)

    def targets(self, asked: Tensor, *, seed: int, step: int | Tensor, chain_ids: Tensor | None) -> Tensor:
        return self.objective.targets(asked, seed=seed, step=step, chain_ids=chain_ids)

    def outputs(self, network: Network, x: Tensor, layers: Sequence[str], time: Time) -> tuple[Tensor, list[Tensor]]:
        return self.objective.outputs(network, x, layers, time)

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        climb = self.objective.climb(network, x, target, time)
        if climb is None or time.sigma is None:
            raise InputError("known pixels need an objective of one noise level at a time; give ClassScore")
        of_known = (self.images - x.detach()) / time.sigma**2
        return climb._replace(direction=torch.where(self.known, of_known, climb.direction))
