# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Chains that stay near an image while they climb something else: one picture in the style of another."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.sampling.objective import Climb, Network, Objective, Time

Shown = Callable[[Tensor, int | Tensor], Tensor]
"""What of images the network is shown at a step, such as a space's `view` with seed and chain ids filled in."""


class NearImages(Objective):
    r"""(1 − α) of another objective's direction, and α of the way back to an image c.

    The direction is the gradient of

    .. math:: (1 - α)·\overline{\ln g(x)} - α·\overline{(x - c)^2}

    in means over what the network is shown (Introspective Generative Modeling, section 4.2, with the log-odds ln g that
    its cascade climbs in the place of ln p).

    Args:
        objective: one that knows its direction, such as `LogOdds`.
        images: c, the states of images, like those of the chains.
        fidelity: α, from 0 to 1.
        shown: the same part of c as of the chains' states at a step.
    """

    def __init__(self, objective: Objective, images: Tensor, fidelity: float, shown: Shown) -> None:
        self.objective, self.images, self.fidelity, self.shown = objective, images, fidelity, shown
        self.layers, self.at_once = objective.layers, objective.at_once

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        climb = self.objective.climb(network, x, target, time)
        if climb is None:
            raise InputError("to stay near images takes an objective that knows its direction; give LogOdds")
        near = self.shown(self.images, time.step) - x.detach()
        return climb._replace(direction=torch.lerp(climb.direction, 2 * near / near[0].numel(), self.fidelity))
