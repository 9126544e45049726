# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What moves the chains of a batch: an objective on a network, their targets, and a Gram term, as one thing to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.sampling.gram_regulariser import GramRegulariser
from stic_fast.sampling.objective import Network, Objective, Time
from stic_fast.sampling.outputs import Outputs
from stic_fast.sampling.space import Space
from stic_fast.sampling.steps import StepSizes

LogDensity: TypeAlias = Callable[[Tensor], Tensor]
"""x (chains, *sample) ↦ log p(x), (chains,), up to a constant, independent between chains."""

Record = Callable[[Tensor | None, Tensor, Tensor | None, Tensor | None], None]
"""Of log p and its gradient, and of the Gram loss and its gradient if there is one."""


class Move(NamedTuple):
    """The gradients of one step, and the step sizes they enter with."""

    uphill: Tensor
    downhill: Tensor | None
    eps1: float | Tensor
    eps2: float | Tensor
    logp: Tensor | None
    """(chains,), or (chains, patches), before the move; None if the objective knows nothing but its direction."""

    def fitting(self, x: Tensor) -> Move:
        """The same in the precision of x: where that is less than the gradients', one sum, cut off at its range."""
        if self.uphill.dtype == x.dtype:
            return self
        whole = self.eps1 * self.uphill
        if self.downhill is not None:
            per_chain = isinstance(self.eps2, Tensor) and self.eps2.dim() == 1
            eps2 = self.eps2.view(-1, *[1] * (x.dim() - 1)) if per_chain else self.eps2  # type: ignore[union-attr]
            whole -= eps2 * self.downhill
        largest = torch.finfo(x.dtype).max
        return Move(whole.clamp(-largest, largest).to(x.dtype), None, 1.0, 0.0, self.logp)


class Pull:
    """Asks an objective, and a Gram term, which way to move.

    Args:
        model: the classifier, frozen while it is asked.
        network: its passes in the precision and layout asked for.
        target: what each chain is to become, as the objective reads it.
        objective: what is climbed.
        gram: the Gram term; None leaves it out.
        space: shows the network what it is to see of the states.
        seed, chain_ids, first_step: address of the noise of targets and patches.
    """

    def __init__(
        self,
        model: object,
        network: Network,
        target: Tensor,
        objective: Objective,
        gram: GramRegulariser | None,
        space: Space,
        *,
        seed: int,
        chain_ids: Tensor | None,
        first_step: int,
    ) -> None:
        self.model, self.network = model, network
        self.gram, self._objective = gram, objective
        self._targets = partial(objective.targets, target, seed=seed, chain_ids=chain_ids)
        self._view = partial(space.view, seed=seed, chain_ids=chain_ids)
        self._goal = self._targets(step=first_step)

    def __call__(
        self,
        x: Tensor,
        number: int | Tensor,
        sizes: StepSizes,
        *,
        record: Record | None = None,
        max_gram_ratio: float | None = None,
    ) -> Move:
        """The move of ε1·log p − ε2·Gram at x, by one forward and one backward pass.

        To record or to bound takes both gradients. So does float16, in whose range the smaller of the two might be
        lost beside the larger. A Gram term of ε2 = 0 is computed only to record it.
        """
        objective, gram = self._objective, self.gram
        if record is None and not isinstance(sizes.eps2, Tensor) and sizes.eps2 == 0:
            gram = None
        time, target = Time(number, sizes.sigma), self._goal
        if objective.renews_targets:
            target = self._targets(step=number)
        x = x.detach().requires_grad_(True)
        logp: Tensor | None = None
        loss: Tensor | None = None
        downhill: Tensor | None = None
        together: Tensor | None = None
        with torch.enable_grad():
            seen = self._view(x, step=number)
            known = objective.climb(self.network, seen, target, time)
            if known is not None:
                logp, uphill = known.logp, _of_states(known.direction, seen, x)
                if logp is not None and len(seen) != len(x):
                    logp = logp.view(len(x), -1)
            elif len(seen) != len(x):
                raise InputError(
                    f"{type(objective).__name__} scores whole images, and these chains show their network "
                    f"{len(seen) // len(x)} patches of each; show one, or climb LogOdds"
                )
            if gram is not None and len(seen) != len(x):
                raise InputError("a Gram term compares one view of a chain, and here are several patches; set eps2=0")
            if known is None or gram is not None:
                compared, read = gram.layers if gram else (), () if known else objective.layers
                logits, features = objective.outputs(self.network, seen, (*compared, *read), time)
                outputs = Outputs(x, [logits, *features])
                logits, *features = outputs.values
                loss = gram(features[: len(compared)]) if gram else None
            if known is None:
                logp = score = objective(logits, target, *features[len(compared) :])
                if loss is not None and not outputs.halved and max_gram_ratio is None:
                    together = sizes.eps1 * score - sizes.eps2 * loss
            if record or together is None:
                if known is None:
                    uphill = outputs.gradient(score, keep_graph=loss is not None)
                if loss is not None:
                    downhill = outputs.gradient(loss, keep_graph=together is not None)
                if record:
                    record(logp, uphill, loss, downhill)
            before = None if logp is None else logp.detach()
            if together is not None:
                return Move(outputs.gradient(together), None, 1.0, 0.0, before)
        eps2 = sizes.eps2
        if downhill is not None and max_gram_ratio is not None:
            eps2 = (max_gram_ratio * sizes.eps1 * norms(uphill) / norms(downhill)).clamp_max(sizes.eps2)
        return Move(uphill, downhill, sizes.eps1, eps2, before).fitting(x)


def network_of_density(log_density: LogDensity, objective: Objective | None) -> tuple[Network, Objective]:
    """A log-density as a network whose only output is the score.

    Raises:
        InputError: an objective beside it, or, when asked, anything but one value per chain.
    """
    if objective is not None:
        raise InputError("a log-density is its own objective; leave objective out, or give a classifier")

    def network(x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        logp = log_density(x)
        if not isinstance(logp, Tensor) or logp.shape != (len(x),):
            got = tuple(logp.shape) if isinstance(logp, Tensor) else type(logp).__name__
            raise InputError(
                f"the log-density must give one value per chain, ({len(x)},), got {got}; sum over the rest"
            )
        return logp, []

    return network, _Itself()


class _Itself(Objective):
    """The density's own value."""

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return logits


def norms(gradient: Tensor) -> Tensor:
    """Euclidean norm per chain, never zero."""
    lengths: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return lengths.clamp_min(torch.finfo(gradient.dtype).tiny)


def _of_states(direction: Tensor, seen: Tensor, x: Tensor) -> Tensor:
    """A direction of what the network is shown, as one of the states."""
    if seen is x:
        return direction.detach()
    (of_states,) = torch.autograd.grad(seen, x, direction.detach(), retain_graph=True)
    return of_states
