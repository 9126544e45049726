# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""INN: the introspective cascade of labelled images, with a head for each class.

STIC (supplement, "STIC vs. INN") describes its baseline so: classifiers in sequence, each with "the weights of the top
K separate layers for K classes" on shared convolutions, and negatives drawn for each class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from stic_fast.counts import Count
from stic_fast.evaluation import accuracy
from stic_fast.evaluation.record_form import PARTS
from stic_fast.plots.curves import ACCURACY, Panels
from stic_fast.training.config import DiscriminatorConfig
from stic_fast.training.igm import IMAGES, LOSSES, PROBABILITIES, Igm, IgmConfig, PatchConfig
from stic_fast.training.progress import Progress
from stic_fast.training.run_folder import RunFolder


@dataclass(frozen=True)
class InnConfig(IgmConfig):
    """An INN training run: passes are rounds, each of which trains a network of the cascade and draws with it."""

    data: str = "digits"
    passes: Count = 30
    # The network: convolutions for all classes, and for each a head that tells its images from drawn ones.
    network: DiscriminatorConfig = field(default_factory=lambda: DiscriminatorConfig(channels=(32, 64), whole="on"))
    # What the network is shown of an image.
    patches: PatchConfig = field(default_factory=lambda: PatchConfig(side=None))


PRESETS = {name: InnConfig(**settings) for name, settings in IMAGES.items()}


class Inn(Igm):
    """Algorithm 1 of Introspective Generative Modeling, for each class by its own head."""

    name, settings = "inn", InnConfig
    summary = "INN: a cascade of classifiers with a head for each class, that draws images of each"
    presets: ClassVar[Mapping[str, Any]] = PRESETS
    curves: ClassVar[Panels] = (LOSSES, PROBABILITIES, ACCURACY)
    evaluation = tuple(PARTS)
    labelled = True

    def end_pass(self, pass_number: int, run: RunFolder, progress: Progress) -> list[dict[str, Any]]:
        """As the cascade does; and the accuracy of the class whose head gives the highest log-odds."""
        records = super().end_pass(pass_number, run, progress)
        test = self.splits.test
        score = accuracy(self.model, test.images, test.labels, self.model.num_classes)
        progress.say(f"round {pass_number}: test accuracy {score:.3f}")
        return [*records, {"kind": "evaluation", "test_accuracy": score}]
