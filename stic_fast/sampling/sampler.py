# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The face that all samplers share: `run`, and the single step for loops of one's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeAlias, TypeVar, cast

import torch
from torch import Tensor

from stic_fast.errors import Diverged, InputError
from stic_fast.models import Classifier, FixedPasses
from stic_fast.models.frozen import frozen
from stic_fast.models.gradients import outside_inference
from stic_fast.ops.checks import MAX_STEP
from stic_fast.sampling.execution import Execution
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.objective import LogPosterior, Network, Objective
from stic_fast.sampling.pull import LogDensity, Pull, Record, network_of_density, norms
from stic_fast.sampling.space import PixelSpace, Space
from stic_fast.sampling.steps import Steps


class Moments(NamedTuple):
    """Running means that Adam keeps for each number of a state."""

    first: Tensor
    """Of its gradient."""
    second: Tensor
    """Of the gradient's square."""


class ChainState(NamedTuple):
    """Where chains are, and all that their next step needs."""

    x: Tensor
    """The states, (chains, *sample); within `run` the next step may overwrite them, so keep a clone."""
    step: int
    """Number of the next step."""
    pull: Pull
    """What moves them."""
    sizes: Steps
    """The sizes of their steps, from the first one on."""
    first_step: int
    """Number of the first step."""
    seed: int
    chain_ids: Tensor | None
    logp: Tensor | None = None
    """MALA: log p at x, (chains,)."""
    gradient: Tensor | None = None
    """MALA: ∇log p at x, like x."""
    accepted: Tensor | None = None
    """MALA: how many proposals have been accepted, (chains,)."""
    moments: Moments | None = None
    """Adam: what it keeps of the gradients."""


Transition: TypeAlias = "Callable[[ChainState, Record | None], tuple[ChainState, Tensor | None]]"
OnStep: TypeAlias = Callable[[ChainState], object]
"""Called after each step with the state that it led to."""


class ChainRecord(NamedTuple):
    """Means over the chains at one step, before the move: how far they are and what pulls them."""

    step: int
    logp: float
    gram_loss: float
    grad_logp_norm: float
    grad_gram_norm: float


@dataclass(frozen=True)
class Stop:
    """Ends a chain's leg early: it stays where it is once the mean of its last readings exceeds the level.

    The introspective cascade's rule (Introspective Generative Modeling, section 4.1) is one half of the probability,
    the mean of all patches, over a window of 20 steps.
    """

    level: float = 0.5
    window: int = 20
    """Readings that the mean is over."""
    reading: Callable[[Tensor], Tensor] = torch.exp
    """Of log p, (chains,), or of each patch, (chains, patches), of which the mean is taken."""


Result = TypeVar("Result")


@dataclass(frozen=True)
class Sampler(Execution, Generic[Result]):
    """The base of GRMALA and MALA: what a run takes, and how it begins.

    A step does not depend on the batch: chain b's path is a function of its start, target, seed and id.
    """

    def step_sizes(self) -> Steps:
        """The sizes of this sampler's own steps."""
        raise NotImplementedError(f"{type(self).__name__} does not say the sizes of its steps")

    @outside_inference
    def step(self, state: ChainState) -> ChainState:
        """One transition; the given state stays as it is."""
        with frozen(state.pull.model):
            return self._transition(state, None)[0]

    def _begun(self, state: ChainState) -> ChainState:
        """The first state, with what else the steps of this sampler need."""
        return state

    def _transition(self, state: ChainState, record: Record | None) -> tuple[ChainState, Tensor | None]:
        """The next state, and log p before the move if the objective gives it."""
        raise NotImplementedError(f"{type(self).__name__} does not define its step")

    def _transitions(self, state: ChainState, replays: int) -> AbstractContextManager[Transition]:
        """`_transition` for a whole run of which so many steps may be replays of one graph."""
        return nullcontext(self._transition)

    def _result(self, state: ChainState, trace: list[ChainRecord]) -> Result:
        """What a run returns."""
        raise NotImplementedError(f"{type(self).__name__} does not define its result")

    @outside_inference
    def run(
        self,
        model: Classifier | LogDensity,
        x: Tensor,
        target: Tensor | None = None,
        *,
        seed: int,
        gram: GramRegulariser | None = None,
        objective: Objective | None = None,
        steps: Steps | None = None,
        space: Space | None = None,
        first_step: int = 0,
        chain_ids: Tensor | None = None,
        trace_every: int = 0,
        on_step: OnStep | None = None,
        stop: Stop | None = None,
    ) -> Result:
        """Runs the chains from x.

        Args:
            model: the classifier, which threads may share; frozen while it is asked. Other precisions and layouts use
                copies of its weights. Or a log-density x ↦ (chains,), which takes no target, objective or Gram term.
            x: float (chains, *sample), not overwritten; for a classifier (chains, channels, height, width).
            target: what each chain is to become, as the objective reads it.
            seed, chain_ids: address of the noise, see `stic_fast.noise.normal`.
            gram: the Gram term; None leaves it out.
            objective: `LogPosterior()` if None.
            steps: sizes of the steps, in place of the sampler's own.
            space: shows the network what it is to see of the states; all of them if None.
            first_step: number of the first step, for chains that go on.
            trace_every: record means of the chains at every so many steps, and the last; 0 for never. Does not change
                the result.
            on_step: called after each step with its state, whose x the next step may overwrite.
            stop: ends the legs of single chains early; None for never.
        """
        state = self.init(
            model,
            x,
            target,
            seed=seed,
            gram=gram,
            objective=objective,
            steps=steps,
            space=space,
            first_step=first_step,
            chain_ids=chain_ids,
        )
        count, trace = len(state.sizes), list[ChainRecord]()
        traced = {*range(0, count, trace_every), count - 1} if trace_every > 0 and len(x) else set()
        stopping = None if stop is None else _Stopping(stop, x)
        with frozen(model), self._transitions(state, 0 if stopping else count - len(traced)) as transition:
            for index in range(count):
                record = partial(_trace, trace, state.step) if index in traced else None
                before, (state, logp) = state, transition(state, record)
                if stopping:
                    state = stopping.held(before, state, logp)
                if on_step:
                    on_step(state)
                if stopping and stopping.all_done:
                    break
        return self._result(state, trace)

    @outside_inference
    def init(
        self,
        model: Classifier | LogDensity,
        x: Tensor,
        target: Tensor | None = None,
        *,
        seed: int,
        gram: GramRegulariser | None = None,
        objective: Objective | None = None,
        steps: Steps | None = None,
        space: Space | None = None,
        first_step: int = 0,
        chain_ids: Tensor | None = None,
    ) -> ChainState:
        """The state that `step` goes on from. Arguments as for `run`.

        Raises:
            InputError: a start that is not finite or does not fit the targets, or a layout other than plain for a
                compiled model.

        >>> from stic_fast.sampling import GRMALA
        >>> sampler = GRMALA(eps1=0.1, eps2=0.0, eps3=0.1)
        >>> state = sampler.init(lambda x: -x.square().sum(1), torch.ones(4, 2), seed=0)
        >>> for _ in range(10):
        ...     state = sampler.step(state)
        >>> state.step, state.x.shape
        (10, torch.Size([4, 2]))
        """
        sizes = self.step_sizes() if steps is None else steps
        classifies = hasattr(model, "logits_and_features")  # so does what torch.compile makes of a classifier
        _check_start(x, target, first_step + len(sizes), needs_target=classifies)
        if classifies:
            classifier = cast(Classifier, model)
            network: Network = FixedPasses(classifier, precision=self.precision, layout=self.layout)
            objective = objective or LogPosterior()
        else:
            network, objective = network_of_density(model, objective)
        pull = Pull(
            model,
            network,
            x.new_empty(len(x)) if target is None else target,
            objective,
            gram,
            space or PixelSpace(),
            seed=seed,
            chain_ids=chain_ids,
            first_step=first_step,
        )
        x = x.detach().clone(memory_format=torch.contiguous_format)
        return self._begun(ChainState(x, first_step, pull, sizes, first_step, seed, chain_ids))


class _Stopping:
    """Follows the readings of chains, and keeps those that have stopped where they are."""

    def __init__(self, stop: Stop, chains: Tensor) -> None:
        self._stop, self._readings = stop, deque[Tensor](maxlen=stop.window)
        self._done = torch.zeros(len(chains), dtype=torch.bool, device=chains.device)

    def held(self, before: ChainState, after: ChainState, logp: Tensor | None) -> ChainState:
        """The state after a move that chains which have stopped did not make.

        Raises:
            InputError: the objective knows no log p.
        """
        if logp is None:
            raise InputError("stop needs log p, which this objective does not give; leave stop out")
        self._readings.append(self._stop.reading(logp).view(len(logp), -1).mean(1))
        if len(self._readings) == self._stop.window:
            self._done |= torch.stack(list(self._readings)).mean(0) > self._stop.level
        x = self._where(before.x, after.x)
        if before.logp is None or before.gradient is None or after.logp is None or after.gradient is None:
            return after._replace(x=x)
        gradient = self._where(before.gradient, after.gradient)
        return after._replace(x=x, logp=self._where(before.logp, after.logp), gradient=gradient)

    def _where(self, before: Tensor, after: Tensor) -> Tensor:
        return torch.where(self._done.view(-1, *[1] * (after.dim() - 1)), before, after)

    @property
    def all_done(self) -> bool:
        """Whether no chain moves any more; waits for the device."""
        return bool(self._done.all())


def check_end(x: Tensor, hint: str) -> None:
    """Refuses states that are not finite.

    Raises:
        Diverged: naming the first such chain.
    """
    if bad := not_finite(x):
        raise Diverged(f"{len(bad)} of {len(x)} chains diverged to NaN (first: chain {bad[0]}); {hint}")


def not_finite(values: Tensor) -> list[int]:
    """The chains of which something in (chains, …) is not finite; waits for the device.

    >>> not_finite(torch.tensor([0.0, torch.nan, 1.0, torch.inf]))
    [1, 3]
    """
    finite = torch.isfinite(values)
    if finite.all():
        return []
    bad: list[int] = (~finite.reshape(len(values), -1).all(1)).nonzero()[:, 0].tolist()
    return bad


def _trace(
    trace: list[ChainRecord],
    step: int,
    logp: Tensor | None,
    uphill: Tensor,
    loss: Tensor | None = None,
    downhill: Tensor | None = None,
) -> None:
    """Traces means over the chains, 0 for a term that is left out."""
    terms = logp, loss, norms(uphill), None if downhill is None else norms(downhill)
    trace.append(ChainRecord(step, *(0.0 if term is None else term.detach().mean().item() for term in terms)))


def _check_start(x: Tensor, target: Tensor | None, end: int, *, needs_target: bool) -> None:
    if end > MAX_STEP:
        raise InputError(f"steps are numbered below 2**32, got one up to {end - 1}; a run that long needs a new seed")
    if not x.is_floating_point():
        raise InputError(f"x must be float images in [-1, 1], got {x.dtype}; convert bytes with to_unit")
    if needs_target and target is None:
        raise InputError("target is missing; give what each chain is to become, such as a class per chain")
    if target is not None and len(target) != len(x):
        raise InputError(f"x holds {len(x)} chains but target {len(target)}; give one target per chain")
    if bad := not_finite(x):
        raise InputError(f"x has NaN or infinity in chain {bad[0]}; start chains from finite images in [-1, 1]")
