# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""MALA, Langevin dynamics with the Metropolis–Hastings correction: exact samples from any differentiable density."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, Range, check_ranges
from stic_fast.errors import InputError
from stic_fast.models.frozen import frozen
from stic_fast.ops.grmala_step import grmala_step
from stic_fast.ops.metropolis_accept import metropolis_accept
from stic_fast.sampling.pull import Record
from stic_fast.sampling.sampler import ChainRecord, ChainState, Sampler, check_end, not_finite
from stic_fast.sampling.steps import Steps, StepSizes, scheduled


class MALAResult(NamedTuple):
    """What a run of MALA returns."""

    x: Tensor
    """The final states."""
    acceptance: Tensor
    """Per chain, the fraction of proposals that were accepted; all ones without correction."""
    trace: list[ChainRecord]
    """The traced steps; empty without `trace_every`."""


@dataclass(frozen=True)
class MALA(Sampler[MALAResult]):
    """The Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996; STIC, section 2).

    Proposes x' = x + ε1·∇log p(x) + ε3·N(0, 1) and accepts with the Metropolis–Hastings probability, so the chain
    leaves p invariant whatever the step sizes. An acceptance near 0.57 is efficient (Roberts and Rosenthal 1998). It
    has no Gram term, and steps of one size.

    Raises:
        InputError: in `run` and `init`, a density that is not finite or zero where a chain starts, a Gram term, or
            support without correction.

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
        super().__post_init__()

    def step_sizes(self) -> Steps:
        """ε1 and ε3, the same in all steps."""
        return scheduled(self.steps, self.eps1, 0.0, math.sqrt(2 * self.eps1) if self.eps3 is None else self.eps3)

    def _begun(self, state: ChainState) -> ChainState:
        if state.pull.gram is not None:
            raise InputError("MALA has no Gram term; leave gram out, or use GRMALA")
        if self.support is not None and not self.correct:
            raise InputError("MALA with support needs correct=True: only the correction keeps chains inside")
        if self.support is not None:
            low, high = self.support
            outside = ((state.x < low) | (state.x > high)).flatten(1).any(1)
            if outside.any():
                chain = int(outside.nonzero()[0])
                raise InputError(f"chain {chain} starts outside the support {self.support}; start where p is positive")
        with frozen(state.pull.model):
            logp, gradient = self._value_and_gradient(state, state.x, state.step)
        if bad := not_finite(logp):
            raise InputError(f"log p is {logp[bad[0]].item()} where chain {bad[0]} starts; start where p is positive")
        if bad := not_finite(gradient):  # each proposal would be rejected, and the chain stand still
            raise InputError(f"the gradient of log p is not finite where chain {bad[0]} starts; start elsewhere")
        return state._replace(logp=logp, gradient=gradient, accepted=torch.zeros(len(state.x), device=state.x.device))

    def _transition(self, state: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
        x, number, logp, gradient = state.x, state.step, state.logp, state.gradient
        assert logp is not None and gradient is not None and state.accepted is not None
        if record:
            record(logp, gradient, None, None)
        sizes = state.sizes.at(number - state.first_step)
        options: Any = {
            "eps1": sizes.scale * sizes.eps1,
            "eps3": sizes.scale * sizes.eps3,
            "seed": state.seed,
            "step": number,
            "chain_ids": state.chain_ids,
        }
        proposal = grmala_step(x, gradient, **options, clamp=None)
        new_logp, new_gradient = self._value_and_gradient(state, proposal, number)
        accepted: Tensor | float = 1.0
        if self.correct:
            proposal, moves, _ = metropolis_accept(
                x, proposal, logp, new_logp, gradient, new_gradient, **options, support=self.support
            )
            new_logp = torch.where(moves, new_logp, logp)
            new_gradient = torch.where(moves.view(-1, *[1] * (x.dim() - 1)), new_gradient, gradient)
            accepted = moves
        moved = state._replace(
            x=proposal, step=number + 1, logp=new_logp, gradient=new_gradient, accepted=state.accepted + accepted
        )
        return moved, logp

    def _result(self, state: ChainState, trace: list[ChainRecord]) -> MALAResult:
        assert state.accepted is not None
        check_end(state.x, f"lower eps1={self.eps1}")
        return MALAResult(state.x, state.accepted / max(state.step - state.first_step, 1), trace)

    def _value_and_gradient(self, state: ChainState, x: Tensor, number: int) -> tuple[Tensor, Tensor]:
        move = state.pull(x, number, StepSizes(1.0, 0.0, 0.0))
        if move.logp is None:
            raise InputError("MALA needs log p, which this objective does not give; use GRMALA")
        return move.logp, move.uphill
