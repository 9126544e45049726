# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""ICN: one classifier that learns from what it draws itself (Introspective Classification with Convolutional Nets).

Jin, Lazarow and Tu, NIPS 2017 (https://arxiv.org/abs/1704.07816).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch.nn.functional import cross_entropy

from stic_fast.counts import Count, Probability
from stic_fast.evaluation import accuracy
from stic_fast.evaluation.record_form import PARTS
from stic_fast.plots.curves import ACCURACY, Series
from stic_fast.plots.looks import ORANGE
from stic_fast.sampling import Adam
from stic_fast.training.igm import IMAGES, LOSSES, PROBABILITIES, NegativesConfig, Told, of_terms, probabilities
from stic_fast.training.inn import Inn, InnConfig
from stic_fast.training.method import Loss
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder


@dataclass(frozen=True)
class IcnConfig(InnConfig):
    """An ICN training run: passes are rounds of reclassification by synthesis."""

    # Networks, each trained for as many rounds as the others; one throughout, as in the paper.
    networks: Count | None = 1
    # The share of telling real from drawn images in the loss; the rest is that of telling the classes apart.
    introspection: Probability = 0.5


# One network has no others to carry on from: its chains walk further, never stop early, and keep apart by noise.
CHAINS: Mapping[str, Any] = {
    "penalty": 0.3,
    "negatives": NegativesConfig(chains=200, sigma=0.6, stop=1.0),
    "sampler": Adam(steps=40, eps1=0.08, eps3=0.05, schedule="linear", precision="auto"),
}
PRESETS = {name: IcnConfig(**{**settings, **CHAINS}) for name, settings in IMAGES.items()}
CURVES = LOSSES.beside(Series("loss_class", "class", ORANGE))


class Icn(Inn):
    """Reclassification by synthesis: softmax over the classes, and each class's own head against what it drew."""

    config: IcnConfig
    name, settings = "icn", IcnConfig
    summary = "ICN: one classifier that tells classes apart, and each class from what it draws of it"
    presets, curves = PRESETS, (CURVES, PROBABILITIES, ACCURACY)
    evaluation = tuple(PARTS)

    def told_apart(self, real: Told, drawn: Told, iteration: int) -> Loss:
        """(1 − α)·(−ln p(y|x)) + α·(−ln q(+1|x, y) − ln q(−1|drawn, y)), the paper's loss for many classes."""
        share = self.config.introspection
        logits = real.odds.mean((2, 3))
        terms = {name: share * term for name, term in self.introspection(real, drawn).items()}
        terms["loss_class"] = (1 - share) * cross_entropy(logits, real.classes)
        hits = (logits.argmax(1) == real.classes).float().mean()
        return of_terms(terms, {**probabilities(real, drawn), "accuracy": hits})

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """As the cascade does, and the test accuracy."""
        records = super().end_pass(pass_number, run, progress)
        test = self.splits.test
        score = accuracy(self.model, test.images, test.labels, self.model.num_classes)
        progress.say(f"round {pass_number}: test accuracy {score:.3f}")
        return [*records, {"kind": "evaluation", "test_accuracy": score}]
