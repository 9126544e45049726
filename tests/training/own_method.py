# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A method of one's own, outside the package: a classifier that learns from smoothed labels."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from torch.nn.functional import cross_entropy

from stic_fast.counts import Range
from stic_fast.plots.curves import ACCURACY, LOSS, Series
from stic_fast.plots.looks import ORANGE
from stic_fast.training import Loss, Method, Softmax, SoftmaxConfig


@dataclass(frozen=True)
class SmoothConfig(SoftmaxConfig):
    # Share of each label that is spread over all classes.
    smoothing: Annotated[float, Range(0, 1)] = 0.1


class Smooth(Method[SmoothConfig]):
    """Cross-entropy to (1 − α)·y + α/C for α = smoothing and C classes."""

    name, settings = "smooth", SmoothConfig
    summary = "a classifier on smoothed labels"
    presets: ClassVar = {"digits": SmoothConfig(**vars(replace(Softmax.presets["digits"], passes=2)), smoothing=0.2)}
    curves = (LOSS.beside(Series("smoothed_away", "smoothed away", ORANGE)), ACCURACY)
    evaluation = ("images", "classifier")

    def loss(self, iteration: int) -> Loss:
        x, y = self.real.draw(0, iteration)
        logits = self.model(x).float()
        loss = cross_entropy(logits, y, label_smoothing=self.config.smoothing)
        terms = {"loss": loss, "smoothed_away": loss - cross_entropy(logits, y)}
        hits = (logits.argmax(1) == y.argmax(1)).float().mean()
        return Loss(loss, {name: term.detach() for name, term in {**terms, "accuracy": hits}.items()})
