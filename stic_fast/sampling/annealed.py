# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The chain of Score-STIC: from noise to image through falling noise levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, cast

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, NotNegative, Positive, Range, check_ranges
from stic_fast.errors import InputError
from stic_fast.ops import grmala_step
from stic_fast.sampling.grmala import ChainResult
from stic_fast.sampling.pull import Move, Record
from stic_fast.sampling.sampler import ChainRecord, ChainState, Sampler, check_end
from stic_fast.sampling.steps import Steps, StepSizes


@dataclass(frozen=True)
class AnnealedGRMALA(Sampler[ChainResult]):
    r"""Predictor steps from noise level to noise level, and GRMALA steps at each to correct them.

    The levels are :math:`σ_i = (σ_{max}^{1/ρ} + \frac{i}{N-1}(σ_{min}^{1/ρ} - σ_{max}^{1/ρ}))^ρ`, i = 0 .. N − 1, and
    then 0 (Karras et al. 2022, equation 5). From one to the next leads the probability-flow equation
    :math:`dx/dσ = -σ·s(x, σ)` by Heun's method (there, Algorithm 1): the mean of the slopes here and at the next level.
    A corrector is a step of equation 3 of STIC at its level (Song et al. 2021, section 4.2), with
    :math:`α = step\_size·σ²`:

    .. math:: x ← x + \tfrac α2·s(x, σ) - ε_2·\tfrac α2·∇Gram(x) + \sqrt α·N(0, I)

    The objective gives s and is told σ, such as `ClassScore`; chains start from noise of σ_max, see `NoiseSpace`. All
    moves go through `stic_fast.grmala_step`, and a level that the Gram term has no part in does not compute it.

    Raises:
        InputError: a setting out of its range, steps without a noise level, or a chain that diverged.

    >>> [round(sigma, 3) for sigma in AnnealedGRMALA(steps=4, sigma_max=10, sigma_min=0.01).levels]
    [10.0, 1.936, 0.226, 0.01]
    """

    steps: CountOrZero = 18
    """N, the noise levels."""
    sigma_max: Positive = 80.0
    """The noise level that chains start from, in units of [−1, 1]."""
    sigma_min: Positive = 0.002
    """The last one before 0."""
    rho: Annotated[float, Range(1, 100)] = 7.0
    """ρ: how much nearer to each other levels lie towards the end."""
    correctors: CountOrZero = 0
    """GRMALA steps at each level after the first."""
    step_size: NotNegative = 0.1
    """Of a corrector, as a multiple of σ²; 0.1 is Song's signal-to-noise ratio of 0.16, squared and times four."""
    eps2: NotNegative = 0.0
    """Weight of the Gram term beside the score, in correctors."""

    def __post_init__(self) -> None:
        check_ranges(self)
        super().__post_init__()
        if not self.sigma_min < self.sigma_max:
            raise InputError(f"sigma_min must be below sigma_max={self.sigma_max}, got {self.sigma_min}; lower it")

    @property
    def levels(self) -> list[float]:
        """σ_0 .. σ_{N−1}."""
        first, last = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        return [(first + step / max(self.steps - 1, 1) * (last - first)) ** self.rho for step in range(self.steps)]

    def step_sizes(self) -> Steps:
        """A predictor from each level to the next, with ε1 = σ·(σ − σ'), after the correctors of that level."""
        if not self.steps:
            return Steps(0, 0.0, sigma=self.sigma_max)
        levels, rows = self.levels, list[tuple[float, float, float, float]]()
        for sigma, following in zip(levels, [*levels[1:], 0.0], strict=True):
            alpha = self.step_size * sigma**2
            corrector = (alpha / 2, self.eps2 * alpha / 2, math.sqrt(alpha), sigma)
            rows += [corrector] * (self.correctors if rows else 0)
            rows.append((sigma * (sigma - following), 0.0, 0.0, sigma))
        eps1, eps2, eps3, sigmas = zip(*rows, strict=True)
        return Steps(len(rows), eps1, eps2 if any(eps2) else 0.0, eps3 if any(eps3) else 0.0, sigma=sigmas)

    def _begun(self, state: ChainState) -> ChainState:
        if state.sizes.at(0).sigma is None:
            raise InputError("annealed chains need the noise level of each step; give steps that have a sigma")
        return state

    def _transition(self, state: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
        """One row of `step_sizes`; comments name the lines of Karras's Algorithm 1."""
        index = state.step - state.first_step
        sizes, following = state.sizes.at(index), state.sizes.at(index + 1)
        move = state.pull(state.x, state.step, sizes, record=record)
        x = _moved(state, move, sizes)  # lines 4 and 5
        if not sizes.eps3 and sizes.sigma != following.sigma:  # a predictor, and not the last: line 6
            share = cast(float, following.sigma) / cast(float, sizes.sigma)
            there = state.pull(x, state.step, following._replace(eps1=share * cast(float, sizes.eps1), eps2=0.0))
            both = torch.lerp(move.eps1 * move.uphill, there.eps1 * there.uphill, 0.5)  # lines 7 and 8
            x = _moved(state, Move(both, None, 1.0, 0.0, None), sizes)
        return state._replace(x=x, step=state.step + 1), move.logp

    def _result(self, state: ChainState, trace: list[ChainRecord]) -> ChainResult:
        check_end(state.x, "lower the guidance, or step_size and eps2 of the correctors")
        return ChainResult(state.x, trace)


def _moved(state: ChainState, move: Move, sizes: StepSizes) -> Tensor:
    """Where a move leads, in no box: a state with noise has none."""
    return grmala_step(
        state.x,
        move.uphill,
        move.downhill,
        eps1=sizes.scale * move.eps1,
        eps2=sizes.scale * move.eps2,
        eps3=sizes.scale * sizes.eps3,
        seed=state.seed,
        step=state.step,
        chain_ids=state.chain_ids,
        clamp=None,
    )
