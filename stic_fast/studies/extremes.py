# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The drawn images that a run itself finds likeliest and least likely of their class (GMMC, figures 9 to 18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stic_fast.counts import Count, check_count
from stic_fast.evaluation.judge import predict_logits
from stic_fast.plots.image_rows import Block, plot_image_rows, row_labels
from stic_fast.plots.looks import new_figure, panels
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE = 0.5  # inches across an image


@dataclass(frozen=True)
class Extremes(JudgingStudy):
    """Show the drawn images of each class that the run finds likeliest, and least likely."""

    # Images to draw in all, spread evenly over the classes.
    n: Count = 500
    # Images to show of each end.
    shown: Count = 8
    # Classes to show at most, from the first on.
    classes: Count = 10

    def compute(self, progress: Progress) -> StudyResult:
        """Draws, ranks by log p(x, y), and has both ends judged.

        log p(x, y) is the logit of the class asked for, for a GMMC −‖φ(x) − μ_y‖²/2γ²: likeliest is closest to the
        class's centre.
        """
        run = self.opened()
        count = run.model.num_classes
        check_count("--n", self.n, least=2 * self.shown * count)
        judged = self.judged(run, self.n, progress)
        labels = torch.arange(self.n) % count
        images = self.draw(run, self.n, progress)
        logits = predict_logits(run.model, images, batch_size=self.batch_size)
        likelihood = logits.double().gather(1, labels[:, None])[:, 0]
        hits = judged.probabilities(images).argmax(dim=1) == labels
        of_class = [torch.nonzero(labels == label)[:, 0] for label in range(count)]
        ranked = [rows[torch.argsort(likelihood[rows], descending=True, stable=True)] for rows in of_class]
        ends = {
            "likeliest": [rows[: self.shown] for rows in ranked],
            "least likely": [rows[-self.shown :] for rows in ranked],
        }
        shares = {name: float(hits[torch.cat(rows)].double().mean()) for name, rows in ends.items()}
        means = {name: [float(likelihood[each].mean()) for each in rows] for name, rows in ends.items()}
        record = {
            "n": self.n,
            "judge": judged.judge.name,
            "ends": {name: {"Cls_R": shares[name], "log_joint": means[name]} for name in ends},
            "Cls_R": float(hits.double().mean()),
        }
        shown = {
            f"{name}: the judge reads {shares[name]:.1%} as asked": images[torch.cat(rows[: self.classes])]
            for name, rows in ends.items()
        }
        return StudyResult(extremes_figure(shown, run.class_names[: self.classes]), record)


def extremes_figure(shown: Mapping[str, Tensor], class_names: Sequence[str]) -> Figure:
    """Panels of images side by side, a row for each class; by title, uint8 (classes·shown, C, H, W)."""
    first = next(iter(shown.values()))
    rows, columns, ratio = len(class_names), len(first) // len(class_names), first.shape[2] / first.shape[3]
    figure = new_figure(1.2 + len(shown) * (columns * TILE + 0.3), 0.5 + rows * TILE * ratio)
    for axes, (title, images) in zip(panels(figure, len(shown), columns=len(shown)), shown.items(), strict=True):
        labels = row_labels(class_names) if axes is figure.axes[0] else ()
        plot_image_rows(axes, [Block(images, columns, 0, columns, 0, rows)], rows=labels, title=title)
        axes.set_aspect(ratio)
    return figure
