# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What another pass is worth: images drawn with the weights of every pass, judged alike (STIC, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.evaluation import accuracy, nearest_distances
from stic_fast.evaluation.image_scores import MEANINGS
from stic_fast.evaluation.records import subset
from stic_fast.plots.passes import Panel, passes_figure
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.studies.sampling_error import error_of_distance, error_of_mean, error_of_share
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

Measured = dict[str, tuple[float, float]]
"""Score and its standard error by name."""


@dataclass(frozen=True)
class Passes(JudgingOptions):
    """Judge images drawn with the weights of every pass, and the classifier of that pass."""

    # Images drawn after each pass, the same chains every time.
    n: Annotated[int, Range(2, MOST)] = 300
    # Passes to look at at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11
    # Also train a judge on each set of drawn images and test it on real ones.
    cls_g: bool = False

    def compute(self, progress: Progress) -> StudyResult:
        """Draws and judges pass by pass.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        newest = open_run(self.run)
        ends = pass_ends(newest.folder, self.passes, first=1)
        judged = self.judged(newest, self.n, progress)
        numbers = torch.arange(self.n)
        classes = numbers % newest.model.num_classes
        found: dict[int, Measured] = {}
        for end in ends:
            run = newest.after_pass(end)
            images = self.image_sampler(run).of_numbers(numbers, progress)
            found[end] = self._measure(judged, images, classes)
            test = run.splits.test
            if self.cls_g:
                value = judged.cls_g(images, classes, progress)
                found[end]["Cls_G"] = value, error_of_share(value, len(test))
            right = accuracy(run.model, test.images, test.labels, run.model.num_classes, batch_size=self.batch_size)
            found[end]["test accuracy"] = right, error_of_share(right, len(test))
            told = ", ".join(f"{name} {value:.3g}" for name, (value, _) in found[end].items())
            progress.say(f"pass {end}: {told}")
        test = newest.splits.test
        floor = self._measure(judged, *subset(test.images, test.labels, self.n, self.seed))
        if self.cls_g:
            value = judged.cls_g_of_real(progress)
            floor["Cls_G"] = value, error_of_share(value, len(test))
        return StudyResult(
            passes_figure(ends, self._panels(judged, found, floor)), self._record(newest, judged, found, floor)
        )

    def _measure(self, judged: Judged, images: Tensor, classes: Tensor) -> Measured:
        reading, real = judged.read(images), judged.reference.everything.statistics
        assert reading.features is not None
        scores = judged.scores(reading, classes)
        found = {"FD": (scores["FD"].value, error_of_distance(real, reading.features))}
        if "Cls_R" in scores:
            found["Cls_R"] = scores["Cls_R"].value, error_of_share(scores["Cls_R"].value, len(images))
        distances = nearest_distances(images, judged.splits.train.images)
        found["nearest"] = float(distances.mean()), error_of_mean(distances)
        return found

    def _panels(self, judged: Judged, found: dict[int, Measured], floor: Measured) -> list[Panel]:
        return [
            Panel(
                label,
                reading,
                [measured[key] for measured in found.values()],
                floor.get(key, (None, 0.0))[0],
                share,
            )
            for key, label, reading, share in (
                ("FD", judged.name("FD"), "Fréchet distance to real images: lower is better", False),
                ("Cls_R", judged.name("Cls_R"), "drawn images read as their class: higher is better", True),
                ("Cls_G", judged.name("Cls_G"), "judge taught by drawn, tested on real: higher is better", True),
                (
                    "nearest",
                    "nearest training image",
                    "Euclidean, pixels in [−1, 1]: far below the line, copies",
                    False,
                ),
                ("test accuracy", "test accuracy", "of the classifier after this pass: higher is better", True),
            )
            if all(key in measured for measured in found.values())
        ]

    def _record(self, run: TrainedRun, judged: Judged, found: dict[int, Measured], floor: Measured) -> dict[str, Any]:
        names = {key: judged.name(key) if key in MEANINGS else key for key in next(iter(found.values()))}
        return {
            "n": self.n,
            "judge": judged.judge.name,
            "steps": self.image_sampler(run).resolved.steps,
            "passes": [{"pass": end, **_written(measured, names)} for end, measured in found.items()],
            "real": {"n": min(self.n, len(run.splits.test)), **_written(floor, names)},
        }


def _written(measured: Measured, names: dict[str, str]) -> dict[str, dict[str, float]]:
    return {names[key]: {"value": value, "error": error} for key, (value, error) in measured.items()}
