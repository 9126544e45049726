# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain climbs: a score per chain, from the classifier's logits and what the chain is asked to become."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.models.discriminator import LOG_ODDS
from stic_fast.models.max_mahalanobis import EMBEDDING, MaxMahalanobisClassifier
from stic_fast.ops import noise

LatentSampling = Literal["staged", "injected"]


class Time(NamedTuple):
    """When in a chain an objective is asked."""

    step: int | Tensor
    """The number of the step; an int64 tensor (1,) on the device while a step is captured."""
    sigma: float | Tensor | None = None
    """The noise level, where the steps have one."""


class Network(Protocol):
    """The network of a chain, see `Classifier.logits_and_features`."""

    def __call__(self, x: Tensor, layers: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
        """The logits and the named features of x."""
        ...


class Climb(NamedTuple):
    """Which way an objective leads, where it knows it without autograd."""

    direction: Tensor
    """Like x."""
    logp: Tensor | None = None
    """(chains,), for reading, where it is known as well; or of each patch, (rows, patches)."""


class Objective:
    """The log-density, up to a constant, whose gradient drives the chain. A new method is a new Objective.

    A subclass defines the score. One that reads more of the classifier than its logits names the `layers`; one whose
    chains are held against something else than what they are asked for makes it in `targets`. One that knows its own
    direction (a score network's output, a denoiser's residual, their sum with a gradient) gives it in `climb`, and one
    whose network takes more than images, such as a noise level, calls it in `outputs`.
    """

    layers: tuple[str, ...] = ()
    """Names of features, in the classifier's terms, that the score reads beside the logits."""
    at_once: int | None = None
    """Pixels that it shows the network in one pass, or one row where a row has more; None for all that there are."""
    renews_targets: bool = False
    """Whether targets are made anew at every step, not once as a run begins."""

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        """Scores (chains,) from logits (chains, K), one target per chain and the features of `layers`."""
        raise NotImplementedError(f"{type(self).__name__} does not define its score")

    def rows_at_once(self, rows: int, shape: Sequence[int]) -> int:
        """Of so many rows of this shape (channels, height, width), those that it shows the network in one pass."""
        return max(1, rows if self.at_once is None else min(rows, self.at_once // max(math.prod(shape[1:]), 1)))

    def targets(self, asked: Tensor, *, seed: int, step: int | Tensor, chain_ids: Tensor | None) -> Tensor:
        """What chains are held against, from what they are asked for; seed, step and ids address its noise, if any."""
        return asked

    def outputs(self, network: Network, x: Tensor, layers: Sequence[str], time: Time) -> tuple[Tensor, list[Tensor]]:
        """The network's logits and named features for x, at this time of the chain."""
        return network(x, layers)

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb | None:
        """The direction at x, which requires grad; None for the gradient of the score by autograd."""
        return None


class LogPosterior(Objective):
    r"""log p(y|x), the softmax over all logits, the fake class "−1" among them (STIC, equations 2 and 3).

    Hard labels, int64 (chains,), give :math:`\log p(y|x)`; soft ones, float (chains, C), the mixup reading
    :math:`\sum_c y_c \log p(c|x)` with C at most the number of logits. Because the fake class shares the
    normalisation, a chain that climbs also moves away from "fake".

    >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
    >>> LogPosterior()(logits, torch.tensor([0]))
    tensor([-0.2395])
    """

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return _of_class(torch.log_softmax(_precise(logits), dim=1), target)


class LogJoint(Objective):
    r"""log p(x, y) up to a constant, the logit of class y (JEM, equation 4); its chain draws from p(x|y).

    Labels as for `LogPosterior`.

    >>> LogJoint()(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))
    tensor([2.])
    """

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return _of_class(_precise(logits), target)


class LogMarginal(Objective):
    r"""log p(x) up to a constant, :math:`\log \sum_y e^{f(x)_y}` (JEM, equation 6); it reads no label.

    >>> LogMarginal()(torch.zeros(1, 4), torch.tensor([0]))
    tensor([1.3863])
    """

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return _precise(logits).logsumexp(dim=1)


class LatentGaussian(Objective):
    r"""γ²·log p(x|z) up to a constant, :math:`-‖φ(x) − z‖²/2`, z around the centre of the class (GMMC, eq. 8–10).

    Labels as for `LogPosterior`; a soft one asks for the mean of its classes' centres. Step sizes absorb γ², as
    learning rates do in equation 5: γ² falls a hundredfold as a run trains, and steps divided by it end in the corners.

    Args:
        model: gives φ and the centres, and γ² as it stands when z is drawn.
        sampling: when z = μ_y + γ·N(0, I) is drawn: "staged", once for a run of a chain; "injected", in every step.

    >>> from stic_fast.models import MaxMahalanobisClassifier, WideResNet
    >>> network = WideResNet(depth=10, width=1, num_classes=8, in_channels=1, fake_class=False)
    >>> objective = LatentGaussian(MaxMahalanobisClassifier(network, num_classes=3))
    >>> objective.targets(torch.tensor([0, 2]), seed=0, step=0, chain_ids=None).shape
    torch.Size([2, 8])
    """

    layers = (EMBEDDING,)

    def __init__(self, model: MaxMahalanobisClassifier, sampling: LatentSampling = "staged") -> None:
        if sampling not in get_args(LatentSampling):
            raise InputError(f"sampling must be one of {', '.join(get_args(LatentSampling))}, got {sampling!r}")
        self.model, self.renews_targets = model, sampling == "injected"

    def targets(self, asked: Tensor, *, seed: int, step: int | Tensor, chain_ids: Tensor | None) -> Tensor:
        centres = self.model.centres
        means = centres[asked] if asked.dtype == torch.int64 else asked.to(centres.dtype) @ centres
        latent = noise.normal(
            means.shape, seed=seed, step=step, chain_ids=chain_ids, stream=noise.Stream.LATENT, device=means.device
        )
        return means + self.model.variance.sqrt() * latent

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return -(features[0] - target).square().sum(1) / 2


class LogOdds(Objective):
    """ln g(x), the log-odds that x is real (Introspective Generative Modeling, equation 11), of a `Discriminator`.

    Of all patches of what is seen, equation 15: the direction is the gradient of their mean, and each one's log-odds
    is there to read. Several patches of a chain stand in rows of their own, chain by chain.

    Args:
        at_once: pixels that one pass of the network takes, or one row where it has more; all if None. It bounds the
            memory of large canvases, and passes of the default take a seventh less time on a CPU than larger ones,
            whose features the C library takes from the system anew each time.
    """

    layers = (LOG_ODDS,)

    def __init__(self, at_once: int | None = 150_000) -> None:
        self.at_once = at_once

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        asked = target.repeat_interleave(len(x) // max(len(target), 1), 0)
        directions, odds, size = list[Tensor](), list[Tensor](), self.rows_at_once(len(x), x.shape[1:])
        for rows, heads in zip(torch.split(x.detach(), size), torch.split(asked, size), strict=True):
            seen = rows.requires_grad_(True)
            every = _precise(network(seen, self.layers)[1][0]).flatten(2)
            own = torch.stack([_of_class(patch, heads) for patch in every.unbind(2)], 1)
            directions.append(torch.autograd.grad(own.mean(1).sum(), seen)[0])
            odds.append(own.detach())
        return Climb(torch.cat(directions), torch.cat(odds))


def _precise(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _of_class(values: Tensor, target: Tensor) -> Tensor:
    """Each chain's value of its class, or the mean by its soft label."""
    if target.dtype == torch.int64:
        return values.gather(1, target[:, None])[:, 0]
    return (values[:, : target.shape[1]] * target).sum(1)
