# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a chain of a score classifier climbs: the score at its noise level, guided towards a class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from stic_fast.counts import NotNegative, check_ranges
from stic_fast.errors import InputError
from stic_fast.models.fixed_passes import FixedPasses
from stic_fast.models.score_classifier import ScoreClassifier
from stic_fast.sampling.objective import Climb, LogPosterior, Network, Objective, Time
from stic_fast.sampling.outputs import Outputs


@dataclass(frozen=True)
class Guidance:
    """How strongly chains are led towards their class, and at which noise levels (Kynkäänniemi et al. 2024).

    Raises:
        InputError: a setting out of its range, or no noise level between the two.
    """

    # g: the score is s(x, σ) + g·(s(x, σ, y) − s(x, σ)); 0 withholds the label, 1 gives it, more exaggerates it.
    label: NotNegative = 1.0
    # w: weight of ∇ log p(y|x, σ), the classifier's own.
    classifier: NotNegative = 0.0
    # Only noise levels above this are guided: at the others w is 0, and g at most 1.
    lowest: NotNegative = 0.0
    # And only those up to this.
    highest: NotNegative = 1e30

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.lowest < self.highest:
            raise InputError(f"lowest must be below highest={self.highest}, got {self.lowest}; lower it")

    def at(self, sigma: float | Tensor) -> tuple[float | Tensor, float | Tensor]:
        """g and w at a noise level; tensors where that is a tensor and they depend on it.

        >>> guidance = Guidance(label=2.0, classifier=0.5, highest=10.0)
        >>> guidance.at(10.0), guidance.at(20.0)
        ((2.0, 0.5), (1.0, 0.0))
        """
        led = (sigma > self.lowest) & (sigma <= self.highest)
        return _where(led, self.label, min(self.label, 1.0)), _where(led, self.classifier, 0.0)


@dataclass(frozen=True)
class ClassScore(Objective):
    r"""The score of the density of images of a class with noise of deviation σ (STIC, section 3: Score-STIC).

    .. math:: s(x, σ) + g·(s(x, σ, y) - s(x, σ)) + w·∇_x \log p(y|x, σ)

    with g = `guidance.label` and w = `guidance.classifier`. Sampling by s + ∇ log p(y|x), the paper's, is g = 0, w = 1.
    Its chains run through noise levels, which `Steps` tells it; those of steps that have none stay at the level that
    the network reads images at. For a network whose score takes no label, g is 0.

    A Gram term reads the features of D(x; σ), the image that the network makes of a state, as it reads those of the
    real images that it compares with: neither has noise. A network that knows one noise level reads the state itself.

    Targets as for `LogPosterior`: classes, or soft labels.

    >>> from stic_fast.models import FixedPasses, ScoreUNet
    >>> network = FixedPasses(ScoreUNet(channels=(8,), num_classes=3, in_channels=1).eval())
    >>> x = torch.ones(2, 1, 4, 4, requires_grad=True)
    >>> climb = ClassScore(Guidance(label=2.0, classifier=1.0)).climb(network, x, torch.tensor([0, 2]), Time(0, 0.5))
    >>> climb.direction.shape, climb.logp.shape
    (torch.Size([2, 1, 4, 4]), torch.Size([2]))
    """

    guidance: Guidance = field(default_factory=Guidance)

    def __call__(self, logits: Tensor, target: Tensor, *features: Tensor) -> Tensor:
        return LogPosterior()(logits, target)

    def outputs(self, network: Network, x: Tensor, layers: Sequence[str], time: Time) -> tuple[Tensor, list[Tensor]]:
        passes, model = _score_classifier(network)
        if not model.knows_every_level:
            return passes(x, layers)
        return passes(passes.through(model.at_noise, x, _sigma(time, model)).denoised, layers)

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        passes, model = _score_classifier(network)
        sigma = _sigma(time, model)
        label, classifier = self.guidance.at(sigma)
        with torch.no_grad():
            direction = self._score(passes, model, x, _shown(target, model.num_classes), sigma, label)
        if _is(classifier, 0):
            return Climb(direction)
        outputs = Outputs(x, [passes.through(model.at_noise, x, sigma, denoised=0).logits])
        logp = LogPosterior()(*outputs.values, target)
        return Climb(direction + classifier * outputs.gradient(logp), logp.detach())

    def _score(
        self,
        passes: FixedPasses,
        model: ScoreClassifier,
        x: Tensor,
        labels: Tensor,
        sigma: float | Tensor,
        label: float | Tensor,
    ) -> Tensor:
        if not model.takes_labels or _is(label, 0):
            return passes.through(model.score, x, sigma)
        if _is(label, 1):
            return passes.through(model.score, x, sigma, labels)
        both = torch.cat([labels, torch.zeros_like(labels)])
        told, untold = passes.through(model.score, torch.cat([x, x]), sigma, both).chunk(2)
        return untold + label * (told - untold)


def _where(led: bool | Tensor, inside: float, outside: float) -> float | Tensor:
    if inside == outside:
        return inside
    return torch.where(led, inside, outside) if isinstance(led, Tensor) else inside if led else outside


def _is(size: float | Tensor, number: float) -> bool:
    """Whether it is known, without waiting for a device, to be this number."""
    return not isinstance(size, Tensor) and size == number


def _shown(target: Tensor, num_classes: int) -> Tensor:
    """Targets as the network is told them, (chains, C): of the fake class, nothing."""
    shown = target if target.is_floating_point() else torch.nn.functional.one_hot(target, num_classes + 1)
    return shown[:, :num_classes].float()


def _score_classifier(network: Network) -> tuple[FixedPasses, ScoreClassifier]:
    passes = cast(FixedPasses, network)
    if not hasattr(getattr(passes, "model", None), "at_noise"):  # what torch.compile makes of one has it too
        raise InputError("this objective needs a network that knows a score; give a ScoreClassifier, such as ScoreUNet")
    return passes, cast(ScoreClassifier, passes.model)


def _sigma(time: Time, model: ScoreClassifier) -> float | Tensor:
    if time.sigma is None:
        return model.sigma_read
    if isinstance(time.sigma, float) and not 0 < time.sigma < math.inf:
        raise InputError(f"a score is of a noise level above 0, got {time.sigma}; give steps whose sigma is positive")
    return time.sigma
