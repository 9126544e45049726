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


@dataclass(frozen=True)
class Guidance:
    """How strongly chains are led towards their class, and at which noise levels."""

    # g: the score is s(x, σ) + g·(s(x, σ, y) − s(x, σ)); 0 withholds the label, 1 gives it, more exaggerates it.
    label: NotNegative = 1.0
    # w: weight of ∇ log p(y|x, σ), the classifier's own.
    classifier: NotNegative = 0.0
    # Noise levels beyond which chains are led by the score of their label alone.
    lowest: NotNegative = 0.0
    # And above which they are.
    highest: NotNegative = 1e30

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class ClassScore(Objective):
    r"""The score of the density of images of a class with noise of deviation σ (STIC, section 3: Score-STIC).

    .. math:: s(x, σ) + g·(s(x, σ, y) - s(x, σ)) + w·∇_x \log p(y|x, σ)

    with g = `guidance.label` and w = `guidance.classifier`. Sampling by s + ∇ log p(y|x), the paper's, is g = 0, w = 1.
    Its chains run through noise levels, which `Steps` tells it; for a network whose score takes no label, g is 0.

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
        logits, _, features = passes.through(model.at_noise, x, _sigma(time), layers=layers, denoised=0)
        return logits, [features[name] for name in layers]

    def climb(self, network: Network, x: Tensor, target: Tensor, time: Time) -> Climb:
        passes, model = _score_classifier(network)
        sigma, guidance = _sigma(time), self.guidance
        leads = not isinstance(sigma, Tensor) and guidance.lowest < sigma <= guidance.highest
        label, classifier = (guidance.label, guidance.classifier) if leads else (min(guidance.label, 1.0), 0.0)
        with torch.no_grad():
            direction = self._score(passes, model, x, _shown(target, model.num_classes), sigma, label)
        if not classifier:
            return Climb(direction)
        logits = passes.through(model.at_noise, x, sigma, denoised=0).logits
        logp = LogPosterior()(logits, target)
        (uphill,) = torch.autograd.grad(logp.sum(), x)
        return Climb(direction + classifier * uphill, logp.detach())

    def _score(
        self,
        passes: FixedPasses,
        model: ScoreClassifier,
        x: Tensor,
        labels: Tensor,
        sigma: float | Tensor,
        label: float,
    ) -> Tensor:
        if not model.takes_labels or label == 0:
            return passes.through(model.score, x, sigma)
        if label == 1:
            return passes.through(model.score, x, sigma, labels)
        both = torch.cat([labels, torch.zeros_like(labels)])
        told, untold = passes.through(model.score, torch.cat([x, x]), sigma, both).chunk(2)
        return torch.lerp(untold, told, label)


def _shown(target: Tensor, num_classes: int) -> Tensor:
    """Targets as the network is told them, (chains, C)."""
    if target.is_floating_point():
        return target[:, :num_classes].float()
    return torch.nn.functional.one_hot(target, num_classes).float()


def _score_classifier(network: Network) -> tuple[FixedPasses, ScoreClassifier]:
    passes = cast(FixedPasses, network)
    if not isinstance(getattr(passes, "model", None), ScoreClassifier):
        raise InputError("this objective needs a network that knows a score; give a ScoreClassifier, such as ScoreUNet")
    return passes, cast(ScoreClassifier, passes.model)


def _sigma(time: Time) -> float | Tensor:
    if time.sigma is None or (isinstance(time.sigma, float) and not 0 < time.sigma < math.inf):
        raise InputError("this objective is of one noise level at a time; give steps that have a sigma")
    return time.sigma
