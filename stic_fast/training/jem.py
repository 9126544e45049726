# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""JEM: a classifier whose logits are also an energy-based model of the images (Grathwohl et al., ICLR 2020).

The logits f(x) give log p(y|x) as ever, log p(x, y) = f(x)_y and log p(x) = logsumexp f(x), both up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stic_fast.counts import NotNegative
from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.plots.curves import ACCURACY, Series
from stic_fast.plots.looks import BLUE, GREEN, VERMILION
from stic_fast.sampling import GRMALA, LogJoint, LogMarginal, Objective
from stic_fast.training.method import Loss
from stic_fast.training.presets import DIGITS_NETWORK, JEM_SCHEDULE, SMALL_ADAM, on_fashion
from stic_fast.training.replay import ENERGY, ENERGY_LOSS, ReplayConfig, ReplayMethod, ReplayRunConfig


@dataclass(frozen=True)
class DensityWeights:
    """The three terms of the loss; a weight of 0 leaves one out."""

    # Of −log p(y|x), the classifier.
    class_given_image: NotNegative = 1.0
    # Of −log p(x), the energy-based model of images.
    image: NotNegative = 1.0
    # Of −log p(x, y), the energy-based model of images of a class; alone, the EBM p(x|y) with classes drawn evenly.
    joint: NotNegative = 0.0


@dataclass(frozen=True)
class JemConfig(ReplayRunConfig):
    """A JEM training run; the defaults are those of JEM on CIFAR-10."""

    # The three terms of the loss.
    weights: DensityWeights = field(default_factory=DensityWeights)

    def check_together(self) -> None:
        """The weights beside those of every run with a replay buffer."""
        super().check_together()
        if not any((self.weights.class_given_image, self.weights.image, self.weights.joint)):
            raise InputError("all weights are 0, so there is nothing to learn; give weights.image or another a weight")


DIGITS = JemConfig(
    passes=6,
    iterations=100,
    network=DIGITS_NETWORK,
    optimiser=replace(SMALL_ADAM, largest_loss=20.0),  # the loss lies within ±5 while it trains well
    pool=ReplayConfig(chains=1_000, sampler=GRMALA(steps=10, eps1=1.0, eps2=0.0, eps3=0.01)),
    sampler=GRMALA(steps=150, eps1=1.0, eps2=0.0, eps3=0.01),
)
PRESETS = {
    "digits": DIGITS,
    "fashion": on_fashion(DIGITS, eps1=1.0, decay_every=1_500, iterations=240),
    "cifar10-paper": JemConfig(data="cifar10:", **JEM_SCHEDULE),
}
LOSSES = ENERGY_LOSS.beside(
    Series("loss_class", "−log p(y|x)", BLUE),
    Series("loss_image", "−log p(x)", VERMILION),
    Series("loss_joint", "−log p(x, y)", GREEN),
)


class Jem(ReplayMethod[JemConfig]):
    """−log p(y|x) − log p(x), the second by persistent Langevin chains.

    The gradient of −log p(x) is that of log p over the chains minus that over real images (contrastive divergence with
    a replay buffer). Chains climb log p(x), or log p(x, y) of their class where that is what is learnt; finished
    images are always drawn by class, from p(x|y).
    """

    name, settings = "jem", JemConfig
    summary = "JEM: a classifier whose logits are an energy-based model too; --weights.* choose the terms"
    presets, curves = PRESETS, (LOSSES, ACCURACY, ENERGY)

    @staticmethod
    def objective_of(config: JemConfig, model: Classifier, *, fakes: bool) -> Objective:
        """log p(x, y), the logit of the class; of the buffer's chains log p(x) where log p(x, y) has no weight."""
        return LogMarginal() if fakes and not config.weights.joint else LogJoint()

    def loss(self, iteration: int) -> Loss:
        """The terms that have a weight, each a mean over its batch."""
        weights = self.config.weights
        x, y = self.real.draw(0, iteration)
        asked = None
        if weights.image or weights.joint:
            drawn, asked = self.negatives(iteration)
            x = torch.cat([x, drawn])
        logits = self.model(x).float()
        real, fake = logits[: len(y)], logits[len(y) :]
        terms: dict[str, Tensor] = {}
        energies: dict[str, Tensor] = {}
        if weights.class_given_image:
            terms["loss_class"] = weights.class_given_image * cross_entropy(real, y)
        if asked is not None:
            marginal, joint = LogMarginal(), LogJoint()
            energies = {"energy_real": -marginal(real, y).mean(), "energy_fake": -marginal(fake, asked).mean()}
            if weights.image:
                terms["loss_image"] = weights.image * (energies["energy_real"] - energies["energy_fake"])
            if weights.joint:
                terms["loss_joint"] = weights.joint * (joint(fake, asked).mean() - joint(real, y).mean())
        total = torch.stack(list(terms.values())).sum()
        hits = (real.argmax(1) == y.argmax(1)).float().mean()
        logged = {"loss": total, **terms, **energies, "accuracy": hits}
        return Loss(total, {name: term.detach() for name, term in logged.items()})
