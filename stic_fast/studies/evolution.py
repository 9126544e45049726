# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The evolution of a run: the same chains, canvas, noise and condition, through the classifier of every pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from stic_fast.counts import MOST, Count, Range
from stic_fast.plots.curves import LOSS, Panel
from stic_fast.plots.evolution import Moment, evolution_figure
from stic_fast.studies.options import DrawingOptions
from stic_fast.studies.pass_ends import logged_accuracies, pass_ends
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, open_run


@dataclass(frozen=True)
class Evolution(DrawingOptions):
    """Draw one chain per class after every pass, under the curve of the training loss."""

    # Passes to show at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11
    # Classes to show at most, from the first on.
    classes: Count = 10

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with the weights of each pass.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        newest = open_run(self.run)
        ends, accuracies = pass_ends(newest.folder, self.passes), logged_accuracies(newest.folder)
        names = newest.splits.train.class_names[: self.classes]
        metrics, moments = newest.folder.read_metrics(), []
        for number in ends:
            run = newest.after_pass(number)
            image_sampler = self.image_sampler(run)
            images = image_sampler.of_classes(torch.arange(len(names)), progress)
            moments.append(Moment(number * run.config.iterations, _label(number, accuracies.get(number)), images))
        record = {
            "steps": self.image_sampler(newest).resolved.steps,
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
        title = "Drawn after each pass, a row from one canvas, noise and condition (%: the classifier's test accuracy)"
        return StudyResult(evolution_figure(metrics, moments, names, panel=panel, title=title), record)


def _label(number: int, accuracy: float | None) -> str:
    r"""What stands above a column.

    >>> _label(3, 0.981)
    'pass 3\n98.1 %'
    """
    if number == 0:
        return "before\ntraining"
    return f"pass {number}" if accuracy is None else f"pass {number}\n{100 * accuracy:.1f} %"
