# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""GRMALA, the Gram-regularised Langevin chain that draws an image from a classifier (STIC, equation 3).

x ← clamp(x + ε1·∇log p(y|x) − ε2·∇Σ_L s·‖G^L(x) − A^L‖²_F + ε3·N(0, 1))
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args

from torch import Tensor

from stic_fast.counts import CountOrZero, NotNegative, Range, check_ranges
from stic_fast.errors import InputError
from stic_fast.ops import grmala_step, grmala_step_
from stic_fast.sampling.captured_step import CapturedStep
from stic_fast.sampling.pull import Move, Record
from stic_fast.sampling.sampler import ChainRecord, ChainState, Sampler, Transition, check_end
from stic_fast.sampling.steps import Schedule, Steps, scheduled


class ChainResult(NamedTuple):
    """What a run of a chain returns."""

    x: Tensor
    """The final states, like the initial ones."""
    trace: list[ChainRecord]
    """The traced steps; empty without `trace_every`."""


@dataclass(frozen=True)
class GRMALA(Sampler[ChainResult]):
    """The chain of STIC, equation 3, with the paper's step sizes.

    Raises:
        InputError: a setting out of its range; in `run`, a start that is not finite or does not fit the targets, a
            layout other than plain for a compiled model, a step that could not be captured, or a chain that diverged.

    >>> from stic_fast.models import WideResNet
    >>> model = WideResNet(depth=10, width=1, num_classes=3, in_channels=1)
    >>> x, _ = GRMALA(steps=2).run(model, torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]), seed=0)
    >>> x.shape
    torch.Size([2, 1, 8, 8])
    """

    steps: CountOrZero = 60
    """Transitions per run."""
    eps1: NotNegative = 0.95
    """Step size along ∇log p(y|x)."""
    eps2: NotNegative = 0.95
    """Step size against the gradient of the Gram loss."""
    eps3: NotNegative = 0.015
    """Standard deviation of the noise of a step, in units of [−1, 1]."""
    schedule: Schedule = "constant"
    """How ε1, ε2 and ε3 fall over the run: not at all, linearly or as a half cosine, towards zero. `run` takes other
    `steps`."""
    max_gram_ratio: NotNegative | None = None
    """Bound on ε2·|∇Gram| as a multiple of ε1·|∇log p|, per chain; None for no bound. Costs a second backward pass."""
    clamp: Annotated[tuple[float, float], Range(-math.inf, math.inf)] | None = (-1.0, 1.0)
    """The box that states are kept in."""

    def __post_init__(self) -> None:
        check_ranges(self)
        super().__post_init__()
        if self.schedule not in get_args(Schedule):
            options = ", ".join(get_args(Schedule))
            raise InputError(f"schedule must be one of {options}, got {self.schedule!r}; choose one")
        if self.clamp is not None and not self.clamp[0] < self.clamp[1]:
            raise InputError(f"clamp must be (low, high) with low < high, got {self.clamp}; images use (-1, 1)")

    def step_sizes(self) -> Steps:
        """(ε1, ε2, ε3) over the steps of a run."""
        return scheduled(self.steps, self.eps1, self.eps2, self.eps3, self.schedule)

    def _transition(self, state: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
        move, sizes = self._move(state, state.x, state.step, record)
        x = grmala_step(state.x, move.uphill, move.downhill, **sizes)
        return state._replace(x=x, step=state.step + 1), move.logp

    @contextmanager
    def _transitions(self, state: ChainState, replays: int) -> Iterator[Transition]:
        """In place if no chain may stop, as replays of one graph where that pays."""
        if not replays:
            yield self._transition
            return
        x = state.x
        state.sizes.prepare(x.device)

        def in_place(number: int | Tensor, record: Record | None = None) -> None:
            move, sizes = self._move(state, x, number, record)
            grmala_step_(x, move.uphill, move.downhill, **sizes)

        captures = self.captures(state.pull.network, x, replays)
        with CapturedStep(in_place, x.device) if captures else nullcontext(in_place) as step:

            def transition(now: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
                if record:
                    in_place(now.step, record)
                else:
                    step(now.step)
                return now._replace(step=now.step + 1), None

            yield transition

    def _result(self, state: ChainState, trace: list[ChainRecord]) -> ChainResult:
        hint = f"lower eps1={self.eps1}"
        if self.eps2:
            hint += f" or eps2={self.eps2}, normalise the Gram loss with 'log', or set max_gram_ratio=1"
        check_end(state.x, hint)
        return ChainResult(state.x, trace)

    def _move(
        self, state: ChainState, x: Tensor, number: int | Tensor, record: Record | None
    ) -> tuple[Move, dict[str, Any]]:
        """The gradients at x, and what the op takes beside them."""
        sizes = state.sizes.at(number - state.first_step)
        move = state.pull(x, number, sizes, record=record, max_gram_ratio=self.max_gram_ratio)
        return move, {
            "eps1": sizes.scale * move.eps1,
            "eps2": sizes.scale * move.eps2,
            "eps3": sizes.scale * sizes.eps3,
            "seed": state.seed,
            "step": number,
            "chain_ids": state.chain_ids,
            "clamp": self.clamp,
        }
