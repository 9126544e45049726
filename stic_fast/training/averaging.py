# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Averaged weights: what a run draws and classifies with, where those of single iterations jitter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from stic_fast.counts import Count, Range
from stic_fast.training.saved_state import check_form


@dataclass(frozen=True)
class AverageConfig:
    r"""A running average of the weights, :math:`θ̂_t = β_t·θ̂_{t-1} + (1 − β_t)·θ_t`, by which a run is judged."""

    # power: over a fixed share of the training so far, whenever it is looked at; half_life: over a fixed number of
    # iterations; off: none, the weights of the last iteration.
    profile: Literal["power", "half_life", "off"] = "off"
    # Of the power profile: its standard deviation as a share of the iterations so far.
    width: Annotated[float, Range(0.005, 0.28)] = 0.1
    # Of the half-life profile: iterations after which a weight counts half.
    half_life: Count = 1_000

    def decay(self, iteration: int) -> float:
        r"""β of an iteration, counted from 1.

        Of the power profile :math:`β_t = (1 − 1/t)^{γ+1}` with γ so that the profile :math:`t^γ` has standard
        deviation `width` (Karras et al. 2024, section 3.1): it forgets the first iterations at any length of training.
        Of the half-life profile :math:`2^{-1/h}`, in the beginning the plain mean of all weights so far.

        >>> round(AverageConfig("power", width=0.1).decay(100), 4), AverageConfig("half_life", half_life=1).decay(9)
        (0.9233, 0.5)
        """
        plain = 1 - 1 / iteration
        if self.profile == "power":
            return float(plain ** (_exponent(self.width) + 1))
        return min(plain, 2 ** (-1 / self.half_life)) if self.profile == "half_life" else 0.0


def _exponent(width: float) -> float:
    """γ of the profile t^γ on (0, 1) whose standard deviation is `width`: that of a Beta(γ + 1, 1), by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        wide = math.sqrt((middle + 1) / (middle + 3)) / (middle + 2) > width
        low, high = (middle, high) if wide else (low, middle)
    return low


class AveragedWeights:
    """The averages of a model's parameters, beside the parameters themselves.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> average = AveragedWeights(net, AverageConfig("half_life", half_life=1))
    >>> before = net.weight.item()
    >>> _ = net.weight.data.add_(1.0)
    >>> average.update(2)
    >>> with average.in_use():
    ...     round(net.weight.item() - before, 6)
    0.5
    """

    def __init__(self, model: nn.Module, config: AverageConfig) -> None:
        self._config = config
        self._own = dict(model.named_parameters())
        self._averages = {name: parameter.detach().clone() for name, parameter in self._own.items()}

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Takes in the weights as they are after an iteration, counted from 1."""
        share = 1 - self._config.decay(iteration)
        own = [parameter.detach() for parameter in self._own.values()]
        torch._foreach_lerp_(list(self._averages.values()), own, share)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within it the model has the averages for its weights."""
        own = {name: parameter.detach().clone() for name, parameter in self._own.items()}
        _assign(self._own, self._averages)
        try:
            yield
        finally:
            _assign(self._own, own)

    def take_over(self) -> None:
        """Leaves the model with the averages for its weights, once it trains no more."""
        _assign(self._own, self._averages)

    def state_dict(self) -> dict[str, Tensor]:
        """The weights themselves, of which the averages in a checkpoint are not made again."""
        return {name: parameter.detach() for name, parameter in self._own.items()}

    def load_state_dict(self, state: Any) -> None:
        """Takes what the model holds for the averages, and puts the weights themselves into it.

        Raises:
            Misfit: the state is of another form.
        """
        check_form(state, self.state_dict(), "weights")
        _assign(self._averages, self._own)
        _assign(self._own, state)


@torch.no_grad()
def _assign(to: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in to.items():
        tensor.copy_(values[name])
