# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A plain softmax classifier: cross-entropy on real images, the baseline of all methods that also draw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from torch.nn.functional import cross_entropy

from stic_fast.plots.curves import ACCURACY, LOSS
from stic_fast.sampling import GRMALA
from stic_fast.training.config import AugmentationConfig, RunConfig
from stic_fast.training.method import Loss, Method
from stic_fast.training.presets import DIGITS_NETWORK, JEM_SCHEDULE, SMALL_ADAM, on_fashion


@dataclass(frozen=True)
class SoftmaxConfig(RunConfig):
    """A plain classifier's training run, without instance noise; it draws nothing until it is trained."""

    # What happens to images on their way into the network.
    augmentation: AugmentationConfig = field(default_factory=lambda: AugmentationConfig(noise_std=0.0))
    # The chain of finished samples.
    sampler: GRMALA = field(default_factory=lambda: GRMALA(steps=100, eps1=1.0, eps2=0.0, eps3=0.01))


DIGITS = SoftmaxConfig(
    passes=6,
    iterations=300,
    network=DIGITS_NETWORK,
    optimiser=SMALL_ADAM,
    sampler=GRMALA(steps=150, eps1=1.0, eps2=0.0, eps3=0.01),
)
PRESETS = {
    "digits": DIGITS,
    "fashion": on_fashion(DIGITS, eps1=1.0, decay_every=5_000, iterations=800),
    "cifar10-paper": SoftmaxConfig(
        data="cifar10:",
        **{**JEM_SCHEDULE, "augmentation": replace(JEM_SCHEDULE["augmentation"], noise_std=0.0)},
    ),
}


class Softmax(Method[SoftmaxConfig]):
    """−log p(y|x) of real images. Its chains climb log p(y|x), as STIC's do, though it never saw what they draw."""

    name, settings = "softmax", SoftmaxConfig
    summary = "a plain softmax classifier, the baseline"
    presets, curves = PRESETS, (LOSS.beside(unit="cross-entropy (nats)"), ACCURACY)

    def loss(self, iteration: int) -> Loss:
        """The mean over the batch."""
        x, y = self.real.draw(0, iteration)
        logits = self.model(x).float()
        loss = cross_entropy(logits, y)
        hits = (logits.argmax(1) == y.argmax(1)).float().mean()
        return Loss(loss, {"loss": loss.detach(), "accuracy": hits})
