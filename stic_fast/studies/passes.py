# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What another pass is worth: images drawn with the weights of every pass, judged alike (STIC, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.evaluation import accuracy, nearest_distances
from stic_fast.evaluation.image_scores import MEANINGS
from stic_fast.evaluation.records import subset
from stic_fast.plots.lines import Line, LinePanel, lines_figure
from stic_fast.plots.looks import BLUE, VERMILION
from stic_fast.studies.drawing_with import steps_of
from stic_fast.studies.judged import Judged
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.studies.sampling_error import Measured, error_of_distance, mean_with_error, share_with_error
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress

READINGS = {
    "FD": "Fréchet distance to real images: lower is better",
    "Cls_R": "drawn images read as their class: higher is better",
    "Cls_G": "judge taught by drawn, tested on real: higher is better",
    "nearest": "Euclidean, pixels in [−1, 1]: far below the line, copies",
    "test accuracy": "of the classifier after this pass: higher is better",
}
SHARES = ("Cls_R", "Cls_G", "test accuracy")


@dataclass(frozen=True)
class Passes(JudgingStudy):
    """Judge images drawn with the weights of every pass, and the classifier of that pass."""

    # Images drawn after each pass, the same chains every time.
    n: Annotated[int, Range(2, MOST)] = 300
    # Passes to look at at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11
    # Also train a judge on each set of drawn images and test it on real ones.
    cls_g: bool = False

    def compute(self, progress: Progress) -> StudyResult:
        """Draws and judges pass by pass."""
        newest = self.opened()
        test = newest.splits.test
        ends = pass_ends(newest.folder, self.passes, first=1)
        judged = self.judged(newest, self.n, progress)
        classes = torch.arange(self.n) % newest.model.num_classes
        found: dict[int, dict[str, Measured]] = {}
        for end in ends:
            run = newest.after_pass(end)
            images = self.draw(run, self.n, progress)
            found[end] = self._measure(judged, images, classes)
            if self.cls_g:
                found[end]["Cls_G"] = share_with_error(judged.cls_g(images, classes, progress), len(test))
            right = accuracy(run.model, test.images, test.labels, run.model.num_classes, batch_size=self.batch_size)
            found[end]["test accuracy"] = share_with_error(right, len(test))
            told = ", ".join(f"{name} {value:.3g}" for name, (value, _) in found[end].items())
            progress.say(f"pass {end}: {told}")
        floor = self._measure(judged, *subset(test.images, test.labels, self.n, self.seed))
        if self.cls_g:
            floor["Cls_G"] = share_with_error(judged.cls_g_of_real(progress), len(test))
        names = {key: judged.name(key) if key in MEANINGS else key for key in found[ends[0]]}
        record = {
            "n": self.n,
            "judge": judged.judge.name,
            "steps": steps_of(self.image_sampler(newest)),
            "passes": [{"pass": end, **_written(measured, names)} for end, measured in found.items()],
            "real": {"n": min(self.n, len(test)), **_written(floor, names)},
        }
        panels = [_panel(key, names, found, floor) for key in READINGS if key in names]
        return StudyResult(lines_figure(panels), record)

    def _measure(self, judged: Judged, images: Tensor, classes: Tensor) -> dict[str, Measured]:
        reading, real = judged.read(images), judged.reference.everything.statistics
        assert reading.features is not None
        scores = judged.scores(reading, classes)
        found = {"FD": Measured(scores["FD"].value, error_of_distance(real, reading.features))}
        if "Cls_R" in scores:
            found["Cls_R"] = share_with_error(scores["Cls_R"].value, len(images))
        found["nearest"] = mean_with_error(nearest_distances(images, judged.splits.train.images))
        return found


def _panel(
    key: str, names: dict[str, str], found: dict[int, dict[str, Measured]], floor: dict[str, Measured]
) -> LinePanel:
    """A score by pass, and that of as many real images where there is such a thing."""
    label, colour = "drawn images (bars: ±2 standard errors)", VERMILION
    if key not in floor:
        label, colour = "the classifier itself", BLUE
    return LinePanel(
        [Line(label, list(found), [measured[key] for measured in found.values()], colour)],
        title=f"{'nearest training image' if key == 'nearest' else names[key]}\n{READINGS[key]}",
        x="passes of training",
        levels={"as many real images": floor[key][0]} if key in floor else {},
        share=key in SHARES,
        scale="linear" if key in SHARES else "log if wide",
    )


def _written(measured: dict[str, Measured], names: dict[str, str]) -> dict[str, dict[str, float]]:
    return {names[key]: score._asdict() for key, score in measured.items()}
