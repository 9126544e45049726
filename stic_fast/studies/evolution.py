# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The evolution of a run: the same chains, canvas, noise and condition, through the classifier of every pass.

STIC, figure 3b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from stic_fast.counts import MOST, Count, Range
from stic_fast.plots.curves import LOSS, Panel
from stic_fast.plots.evolution import Moment, evolution_figure
from stic_fast.studies.drawing_with import steps_of
from stic_fast.studies.pass_ends import logged_accuracies, pass_ends
from stic_fast.studies.study import DrawingStudy, StudyResult
from stic_fast.training import Progress


@dataclass(frozen=True)
class Evolution(DrawingStudy):
    """Draw one chain per class after every pass, under the curve of the training loss."""

    # Passes to show at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11
    # Classes to show at most, from the first on.
    classes: Count = 10

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with the weights of each pass."""
        newest = self.opened()
        ends, accuracies = pass_ends(newest.folder, self.passes), logged_accuracies(newest.folder)
        names = newest.class_names[: self.classes]
        metrics, moments = newest.folder.read_metrics(), []
        for number in ends:
            run = newest.after_pass(number)
            images = self.image_sampler(run).of_classes(torch.arange(len(names)), progress)
            moments.append(Moment(number * run.config.iterations, _label(number, accuracies.get(number)), images))
        record = {
            "steps": steps_of(self.image_sampler(newest)),
            "classes": names,
            "passes": [
                {"pass": number, "iteration": moment.iteration, "test_accuracy": accuracies.get(number)}
                for number, moment in zip(ends, moments, strict=True)
            ],
            "losses": [
                {key: value for key, value in each.items() if key == "iteration" or key.startswith("loss")}
                for each in metrics
                if each["kind"] == "train"
            ],
        }
        panel = next((each for each in newest.method.curves if isinstance(each, Panel)), LOSS)
        return StudyResult(evolution_figure(metrics, moments, names, panel=panel), record)


def _label(number: int, accuracy: float | None) -> str:
    r"""What stands above a column.

    >>> _label(3, 0.981)
    'pass 3\n98.1 %'
    """
    if number == 0:
        return "before\ntraining"
    return f"pass {number}" if accuracy is None else f"pass {number}\n{100 * accuracy:.1f} %"
