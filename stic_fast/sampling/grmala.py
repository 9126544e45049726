# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""GRMALA, the Gram-regularised Langevin chain that draws an image from a classifier (STIC, equation 3).

x ← clamp(x + ε1·∇log p(y|x) − ε2·∇Σ_L s·‖G^L(x) − A^L‖²_F + ε3·N(0, 1))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, NotNegative, Range, check_ranges
from stic_fast.errors import Diverged, InputError
from stic_fast.models import Classifier, FixedPasses, Layout, Precision
from stic_fast.models.frozen import frozen
from stic_fast.ops import grmala_step_
from stic_fast.ops.checks import MAX_STEP
from stic_fast.sampling.captured_step import CapturedStep, pays
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.objective import LogPosterior, Objective
from stic_fast.sampling.outputs import Outputs

Schedule = Literal["constant", "linear", "cosine"]


class ChainRecord(NamedTuple):
    """Means over the chains at one step, before the move: how far they are and what pulls them."""

    step: int
    logp: float
    gram_loss: float
    grad_logp_norm: float
    grad_gram_norm: float


class ChainResult(NamedTuple):
    """What a run of a chain returns."""

    x: Tensor
    """The final states, like the initial ones."""
    trace: list[ChainRecord]
    """The traced steps; empty without `trace_every`."""


Record = Callable[..., None]
"""Of log p and its gradient, and of the Gram loss and its gradient if there is one."""


class _Pull(NamedTuple):
    """What moves the chains at one step: gradients and the step sizes they enter with."""

    uphill: Tensor
    downhill: Tensor | None
    eps1: float
    eps2: float | Tensor

    def fitting(self, x: Tensor) -> _Pull:
        """The same in the precision of x: where that is less than the gradients', one sum, cut off at its range."""
        if self.uphill.dtype == x.dtype:
            return self
        whole = self.eps1 * self.uphill
        if self.downhill is not None:
            eps2 = self.eps2.view(-1, *[1] * (x.dim() - 1)) if isinstance(self.eps2, Tensor) else self.eps2
            whole -= eps2 * self.downhill
        largest = torch.finfo(x.dtype).max
        return _Pull(whole.clamp(-largest, largest).to(x.dtype), None, 1.0, 0.0)


@dataclass(frozen=True)
class GRMALA:
    """The chain of STIC, equation 3, with the paper's step sizes.

    The step does not depend on the batch: chain b's path is a function of its start, target, reference, seed and id.

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
    """How ε1, ε2 and ε3 fall over the run: not at all, linearly or as a half cosine, towards zero."""
    max_gram_ratio: NotNegative | None = None
    """Bound on ε2·|∇Gram| as a multiple of ε1·|∇log p|, per chain; None for no bound. Costs a second backward pass."""
    clamp: Annotated[tuple[float, float], Range(-math.inf, math.inf)] | None = (-1.0, 1.0)
    """The box that states are kept in."""
    precision: Precision | None = None
    """Of the network's passes: fp32, bf16, or auto, which is bf16 where the hardware multiplies it and else fp32. None
    is auto on a CUDA device and fp32 on a CPU. The chain's state and log p stay fp32. A network whose own weights are
    float16 loses what `stic_fast.sampling.outputs` names, no more."""
    layout: Layout | None = None
    """Of the network's weights and features: plain, as the model has them; channels_last; or packed, which is
    channels_last with large weights in the CPU library's own form, there the fastest. None is channels_last on a CUDA
    device and plain on a CPU. They agree within rounding; see `stic_fast.models.FixedPasses`."""
    capture: bool = True
    """On a CUDA device, run a chain's steps as replays of one CUDA graph, with the same result; a CPU has none. Steps
    that are traced run eagerly between replays, and so does all of a run that is short or whose model torch.compile
    has compiled. The model's weights must not change meanwhile. See `stic_fast.sampling.captured_step`."""

    def __post_init__(self) -> None:
        _check_settings(self)

    def run(
        self,
        model: Classifier,
        x: Tensor,
        target: Tensor,
        *,
        seed: int,
        gram: GramRegulariser | None = None,
        objective: Objective | None = None,
        first_step: int = 0,
        chain_ids: Tensor | None = None,
        trace_every: int = 0,
        on_step: Callable[[], None] | None = None,
    ) -> ChainResult:
        """Runs the chains from x.

        Args:
            model: the classifier, which threads may share; frozen meanwhile. Other precisions and layouts use copies of
                its weights.
            x: float (chains, channels, height, width), not overwritten.
            target: what each chain is to become, as the objective reads it.
            seed, chain_ids: address of the noise, see `stic_fast.noise.normal`.
            gram: the Gram term; None leaves it out.
            objective: `LogPosterior()` if None.
            first_step: number of the first step, for chains that go on.
            trace_every: record means of the chains at every so many steps, and the last; 0 for never. Does not change
                the result.
            on_step: called after each step, for progress.
        """
        _check_start(x, target, first_step + self.steps)
        objective = objective or LogPosterior()
        targets = partial(objective.targets, target, seed=seed, chain_ids=chain_ids)
        goal = targets(step=first_step)
        x = x.detach().clone(memory_format=torch.contiguous_format)
        trace: list[ChainRecord] = []
        traced = {*range(0, self.steps, trace_every), self.steps - 1} if trace_every > 0 and len(x) else set()
        with frozen(model):
            network = FixedPasses(model, precision=self.precision, layout=self.layout)
            scales = _Scales(self.schedule, first_step, self.steps, x.device)

            def move(number: int | Tensor, record: Record | None = None) -> None:
                """One transition of x, in place."""
                aim = targets(step=number) if objective.renews_targets else goal
                pull, scale = self._pull(network, x, aim, gram, objective, record), scales.at(number)
                grmala_step_(
                    x,
                    pull.uphill,
                    pull.downhill,
                    eps1=scale * pull.eps1,
                    eps2=scale * pull.eps2,
                    eps3=scale * self.eps3,
                    seed=seed,
                    step=number,
                    chain_ids=chain_ids,
                    clamp=self.clamp,
                )

            captures = self.capture and len(x) and not network.compiled and pays(x.device, self.steps - len(traced))
            with CapturedStep(move, x.device) if captures else nullcontext(move) as step:
                for number in range(first_step, first_step + self.steps):
                    if number - first_step in traced:
                        move(number, partial(_record, trace, number))
                    else:
                        step(number)
                    if on_step:
                        on_step()
        _check_end(x, self)
        return ChainResult(x, trace)

    def _pull(
        self,
        network: FixedPasses,
        x: Tensor,
        target: Tensor,
        gram: GramRegulariser | None,
        objective: Objective,
        record: Record | None,
    ) -> _Pull:
        """One forward and one backward pass, of ε1·log p − ε2·Gram; to record or to bound takes both gradients.

        So does float16, in whose range the smaller of the two might be lost beside the larger.
        """
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            compared = gram.layers if gram else ()
            logits, kept = network(x, (*compared, *objective.layers))
            outputs = Outputs(x, [logits, *kept])
            logits, *kept = outputs.values
            features, read = kept[: len(compared)], kept[len(compared) :]
            logp = objective(logits, target, *read)
            if gram is None:
                uphill = outputs.gradient(logp)
                if record:
                    record(logp, uphill)
                return _Pull(uphill, None, self.eps1, 0.0).fitting(x)
            loss = gram(features)
            apart = outputs.halved or self.max_gram_ratio is not None
            if record or apart:
                uphill = outputs.gradient(logp, keep_graph=True)
                downhill = outputs.gradient(loss, keep_graph=not apart)
                if record:
                    record(logp, uphill, loss, downhill)
            if not apart:
                return _Pull(outputs.gradient(self.eps1 * logp - self.eps2 * loss), None, 1.0, 0.0)
        if self.max_gram_ratio is None:
            return _Pull(uphill, downhill, self.eps1, self.eps2).fitting(x)
        limit = self.max_gram_ratio * self.eps1 * _norms(uphill) / _norms(downhill)
        return _Pull(uphill, downhill, self.eps1, limit.clamp_max(self.eps2)).fitting(x)


class _Scales:
    """The schedule's factor at each step of a run, for numbers of steps on the host and on the device."""

    def __init__(self, schedule: Schedule, first_step: int, steps: int, device: torch.device) -> None:
        done = [t / steps for t in range(steps)]
        self._first, self._factors, self._on_device = first_step, [1.0] * steps, None
        if schedule != "constant":
            linear = schedule == "linear"
            self._factors = [1 - share if linear else (1 + math.cos(math.pi * share)) / 2 for share in done]
            self._on_device = torch.tensor(self._factors, dtype=torch.float64, device=device)

    def at(self, number: int | Tensor) -> float | Tensor:
        """The factor at a step: a float, or a 0-d tensor where it falls and the number is a tensor (1,)."""
        if isinstance(number, int):
            return self._factors[number - self._first]
        return 1.0 if self._on_device is None else self._on_device.index_select(0, number - self._first)[0]


def _norms(gradient: Tensor) -> Tensor:
    """Euclidean norm per chain, never zero."""
    norms: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norms.clamp_min(torch.finfo(gradient.dtype).tiny)


def _record(
    trace: list[ChainRecord],
    step: int,
    logp: Tensor,
    uphill: Tensor,
    loss: Tensor | None = None,
    downhill: Tensor | None = None,
) -> None:
    """Traces means over the chains, 0 for a term that is left out."""
    terms = logp, loss, _norms(uphill), None if downhill is None else _norms(downhill)
    trace.append(ChainRecord(step, *(0.0 if term is None else term.detach().mean().item() for term in terms)))


def _check_settings(sampler: GRMALA) -> None:
    check_ranges(sampler)
    for name, kind in (("schedule", Schedule), ("precision", Precision), ("layout", Layout)):
        options, by_device = get_args(kind), name != "schedule" and getattr(sampler, name) is None
        if getattr(sampler, name) not in options and not by_device:
            raise InputError(f"{name} must be one of {', '.join(options)}, got {getattr(sampler, name)!r}; choose one")
    if sampler.clamp is not None and not sampler.clamp[0] < sampler.clamp[1]:
        raise InputError(f"clamp must be (low, high) with low < high, got {sampler.clamp}; images use (-1, 1)")


def _check_start(x: Tensor, target: Tensor, end: int) -> None:
    if end > MAX_STEP:
        raise InputError(f"steps are numbered below 2**32, got one up to {end - 1}; a run that long needs a new seed")
    if not x.is_floating_point():
        raise InputError(f"x must be float images in [-1, 1], got {x.dtype}; convert bytes with to_unit")
    if len(target) != len(x):
        raise InputError(f"x holds {len(x)} chains but target {len(target)}; give one target per chain")
    if not torch.isfinite(x).all():
        chain = int((~torch.isfinite(x.flatten(1)).all(1)).nonzero()[0])
        raise InputError(f"x has NaN or infinity in chain {chain}; start chains from finite images in [-1, 1]")


def _check_end(x: Tensor, sampler: GRMALA) -> None:
    if not torch.isfinite(x).all():
        bad = (~torch.isfinite(x.flatten(1)).all(1)).nonzero()[:, 0]
        hint = f"lower eps1={sampler.eps1}"
        if sampler.eps2:
            hint += f" or eps2={sampler.eps2}, normalise the Gram loss with 'log', or set max_gram_ratio=1"
        raise Diverged(f"{len(bad)} of {len(x)} chains diverged to NaN (first: chain {int(bad[0])}); {hint}")
