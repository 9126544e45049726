# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The drawn images that a run itself finds likeliest and least likely of their class (GMMC, figures 9 to 18)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stic_fast.counts import Count, check_count
from stic_fast.evaluation.judge import predict_logits
from stic_fast.plots.extremes import extremes_figure
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, open_run


@dataclass(frozen=True)
class Extremes(JudgingOptions):
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

        Raises:
            InputError: a run or an option that cannot be used.
        """
        run = open_run(self.run)
        count = run.model.num_classes
        check_count("--n", self.n, least=2 * self.shown * count)
        judged = self.judged(run, self.n, progress)
        labels = torch.arange(self.n) % count
        images = self.image_sampler(run).of_numbers(torch.arange(self.n), progress)
        logits = predict_logits(run.model, images, batch_size=self.batch_size)
        likelihood = logits.double().gather(1, labels[:, None])[:, 0]
        hits = judged.probabilities(images).argmax(dim=1) == labels
        ends: dict[str, list[Tensor]] = {"likeliest": [], "least likely": []}
        for label in range(count):
            rows = torch.nonzero(labels == label)[:, 0]
            order = rows[torch.argsort(likelihood[rows], descending=True, stable=True)]
            ends["likeliest"].append(order[: self.shown])
            ends["least likely"].append(order[-self.shown :])
        shares = {name: float(hits[torch.cat(rows)].double().mean()) for name, rows in ends.items()}
        means = {name: [float(likelihood[each].mean()) for each in rows] for name, rows in ends.items()}
        record = {
            "n": self.n,
            "judge": judged.judge.name,
            "ends": {name: {"Cls_R": shares[name], "log_joint": means[name]} for name in ends},
            "Cls_R": float(hits.double().mean()),
        }
        panels = {
            f"{name}: the judge reads {shares[name]:.1%} as asked": [images[each] for each in rows[: self.classes]]
            for name, rows in ends.items()
        }
        return StudyResult(extremes_figure(panels, run.splits.train.class_names[: self.classes]), record)
