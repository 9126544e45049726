# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""MALA, Langevin dynamics with the Metropolis–Hastings correction: exact samples from any differentiable density."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, Range, check_ranges
from stic_fast.errors import InputError
from stic_fast.ops.grmala_step import grmala_step
from stic_fast.ops.metropolis_accept import metropolis_accept

LogDensity = Callable[[Tensor], Tensor]
"""x (chains, *sample) ↦ log p(x), (chains,), up to a constant."""


class MALAResult(NamedTuple):
    """What a run of MALA returns."""

    x: Tensor
    """The final states."""
    acceptance: Tensor
    """Per chain, the fraction of proposals that were accepted; all ones without correction."""


@dataclass(frozen=True)
class MALA:
    """The Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996; STIC, section 2).

    Proposes x' = x + ε1·∇log p(x) + ε3·N(0, 1) and accepts with the Metropolis–Hastings probability, so the chain
    leaves p invariant whatever the step sizes. An acceptance near 0.57 is efficient (Roberts and Rosenthal 1998).

    >>> normal = MALA(steps=200, eps1=0.5).run(lambda x: -x.square().sum(1) / 2, torch.zeros(2000, 1), seed=0)
    >>> abs(normal.x.var().item() - 1) < 0.1
    True
    """

    steps: CountOrZero
    """Transitions per run."""
    eps1: Annotated[float, Range(0, sys.float_info.max)]
    """Step size along ∇log p."""
    eps3: Annotated[float, Range(0, sys.float_info.max)] | None = None
    """Standard deviation of the proposal's noise; None for √(2·eps1), the Langevin diffusion's own."""
    correct: bool = True
    """False accepts everything (the MALA-approx of Nguyen et al. 2017), whose stationary law is biased by eps1."""
    support: Annotated[tuple[float, float], Range(-math.inf, math.inf)] | None = None
    """Where p is not zero; proposals that leave are rejected. Needs the correction."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def run(
        self,
        log_density: LogDensity,
        x: Tensor,
        *,
        seed: int,
        first_step: int = 0,
        chain_ids: Tensor | None = None,
        on_step: Callable[[Tensor], None] | None = None,
    ) -> MALAResult:
        """Runs the chains from x.

        Args:
            log_density: log p, differentiable, one value per chain and independent between chains.
            x: float (chains, *sample), not overwritten.
            seed, chain_ids: address of the noise, see `stic_fast.noise.normal`.
            first_step: number of the first step, for chains that go on.
            on_step: called with the state after each step, to collect samples.

        Raises:
            InputError: the density is not finite or zero where a chain starts, or support without correction.
        """
        if self.support is not None and not self.correct:
            raise InputError("MALA with support needs correct=True: only the correction keeps chains inside")
        eps3 = math.sqrt(2 * self.eps1) if self.eps3 is None else self.eps3
        x = x.detach()
        if self.support is not None:
            low, high = self.support
            outside = ((x < low) | (x > high)).flatten(1).any(1)
            if outside.any():
                chain = int(outside.nonzero()[0])
                raise InputError(f"chain {chain} starts outside the support {self.support}; start where p is positive")
        logp, grad = _value_and_gradient(log_density, x)
        if not torch.isfinite(logp).all():
            chain = int((~torch.isfinite(logp)).nonzero()[0])
            raise InputError(f"log p is {logp[chain].item()} where chain {chain} starts; start where p is positive")
        accepted_count = torch.zeros(len(x), device=x.device)
        for step in range(first_step, first_step + self.steps):
            proposal = grmala_step(
                x, grad, eps1=self.eps1, eps3=eps3, seed=seed, step=step, chain_ids=chain_ids, clamp=None
            )
            new_logp, new_grad = _value_and_gradient(log_density, proposal)
            if self.correct:
                x, accepted, _ = metropolis_accept(
                    x,
                    proposal,
                    logp,
                    new_logp,
                    grad,
                    new_grad,
                    eps1=self.eps1,
                    eps3=eps3,
                    seed=seed,
                    step=step,
                    chain_ids=chain_ids,
                    support=self.support,
                )
                logp = torch.where(accepted, new_logp, logp)
                grad = torch.where(accepted.view(-1, *[1] * (x.dim() - 1)), new_grad, grad)
                accepted_count += accepted
            else:
                x, logp, grad = proposal, new_logp, new_grad
                accepted_count += 1
            if on_step:
                on_step(x)
        return MALAResult(x, accepted_count / max(self.steps, 1))


def _value_and_gradient(log_density: LogDensity, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        logp = log_density(x)
        (grad,) = torch.autograd.grad(logp.sum(), x)
    return logp.detach(), grad
