# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Adam on the chains themselves, with noise if asked: the sampler of the introspective cascades."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, NotNegative, Range, check_ranges
from stic_fast.ops import grmala_step
from stic_fast.sampling.grmala import ChainResult
from stic_fast.sampling.pull import Record
from stic_fast.sampling.sampler import ChainRecord, ChainState, Moments, Sampler, check_end
from stic_fast.sampling.steps import Schedule, Steps, scheduled


@dataclass(frozen=True)
class Adam(Sampler[ChainResult]):
    r"""Gradient ascent by Adam (Kingma and Ba 2015) from step to step of a leg, and the noise of Langevin's equation.

    .. math:: x ← clamp(x + ε_1·\hat m/\sqrt{\hat v} + ε_3·N(0, I))

    m and v are running means of the gradient, which is ∇log p less ε2 times the Gram term's, and of its square; the
    hats divide by what they lack as a leg begins. The introspective cascade climbs by it (Introspective Generative
    Modeling, section 4.1: ε1 = 0.1, β1 = 0.5).

    Raises:
        InputError: a setting out of its range, or a chain that diverged.

    >>> sampler = Adam(steps=200, eps1=0.02, schedule="linear")
    >>> x, _ = sampler.run(lambda x: -(x - 0.5).square().sum(1), torch.zeros(1, 2), seed=0)
    >>> [round(value, 2) for value in x[0].tolist()]
    [0.5, 0.5]
    """

    steps: CountOrZero = 100
    """Of a leg, at most."""
    eps1: NotNegative = 0.03
    """Largest move of a pixel in a step, about, in units of [−1, 1]."""
    eps2: NotNegative = 0.0
    """Weight of the Gram term's gradient, as a multiple of ε1."""
    eps3: NotNegative = 0.0
    """Standard deviation of the noise of a step, in units of [−1, 1]."""
    beta1: Annotated[float, Range(0, 1 - 1e-9)] = 0.5
    """Share that the mean of the gradient keeps from step to step."""
    beta2: Annotated[float, Range(0, 1 - 1e-9)] = 0.99
    """The same of its square."""
    schedule: Schedule = "constant"
    """How ε1, ε2 and ε3 fall over the run: not at all, linearly or as a half cosine, towards zero."""
    clamp: Annotated[tuple[float, float], Range(-math.inf, math.inf)] | None = (-1.0, 1.0)
    """The box that states are kept in."""

    def __post_init__(self) -> None:
        check_ranges(self)
        super().__post_init__()

    def step_sizes(self) -> Steps:
        """(ε1, ε1·ε2, ε3) over the steps of a leg."""
        return scheduled(self.steps, self.eps1, self.eps1 * self.eps2, self.eps3, self.schedule)

    def _begun(self, state: ChainState) -> ChainState:
        return state._replace(moments=Moments(torch.zeros_like(state.x), torch.zeros_like(state.x)))

    def _transition(self, state: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
        assert state.moments is not None  # by _begun
        index = state.step - state.first_step
        sizes = state.sizes.at(index)
        unit = sizes._replace(eps1=1.0, eps2=0.0 if not sizes.eps1 else sizes.eps2 / sizes.eps1)
        move = state.pull(state.x, state.step, unit, record=record)
        gradient = move.eps1 * move.uphill
        if move.downhill is not None:
            gradient = gradient - move.eps2 * move.downhill
        first = torch.lerp(gradient, state.moments.first, self.beta1)
        second = torch.lerp(gradient.square(), state.moments.second, self.beta2)
        mean, square = (m / (1 - beta ** (index + 1)) for m, beta in ((first, self.beta1), (second, self.beta2)))
        x = grmala_step(
            state.x,
            mean / square.sqrt().clamp_min(torch.finfo(square.dtype).tiny),
            eps1=sizes.scale * sizes.eps1,
            eps3=sizes.scale * sizes.eps3,
            seed=state.seed,
            step=state.step,
            chain_ids=state.chain_ids,
            clamp=self.clamp,
        )
        return state._replace(x=x, step=state.step + 1, moments=Moments(first, second)), move.logp

    def _result(self, state: ChainState, trace: list[ChainRecord]) -> ChainResult:
        check_end(state.x, f"lower eps1={self.eps1}")
        return ChainResult(state.x, trace)
