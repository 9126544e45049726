# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How near drawn images come to real ones, and how many of them they reach, from every canvas (STIC, figure 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

import torch
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.evaluation import manifold_scores
from stic_fast.evaluation.records import subset, sweep_rows
from stic_fast.plots.manifold import sweep_figure
from stic_fast.sampling import Canvas, PixelSpace
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

MOST_NEIGHBOURS = 10


@dataclass(frozen=True)
class Manifold(JudgingOptions):
    """Compare drawn images with real ones by precision, recall, density and coverage, from each canvas."""

    # Further runs on the same images, with commas between; each starts from its own canvas.
    others: str | None = None
    # Images in each set, but no more than there are real test images: the scores compare sets of one size.
    n: Annotated[int, Range(3, MOST)] = 500

    def compute(self, progress: Progress) -> StudyResult:
        """Draws every set, and counts neighbours."""
        run = open_run(self.run)
        test = run.splits.test
        count = min(self.n, len(test))
        runs = open_beside(run, paths_in(self.others))
        judged = self.judged(run, count, progress)
        sweeps = {}
        for name, canvas, each in self._sets(runs):
            sweeps[name] = self._sweep(judged, self._drawn(each, canvas, count, progress))
        sweeps["real"] = self._sweep(judged, subset(test.images, test.labels, count, self.seed)[0])
        note = f"{count} images in each set, read by the judge {judged.judge.name}"
        record = {"n": count, "judge": judged.judge.name, "sweeps": sweeps}
        return StudyResult(sweep_figure(sweeps, note=note), record)

    def _sets(self, runs: dict[str, TrainedRun]) -> list[tuple[str, Canvas, TrainedRun]]:
        """The run from each canvas, its own first, then the others from theirs: name, canvas and run."""
        first, *others = runs.items()
        own = canvas_of(first[1])
        canvases = sorted(get_args(Canvas), key=lambda canvas: bool(canvas != own))
        sets = [(f"{first[0]}, {canvas} canvas", canvas, first[1]) for canvas in canvases]
        return sets + [(f"{name}, {canvas_of(each)} canvas", canvas_of(each), each) for name, each in others]

    def _drawn(self, run: TrainedRun, canvas: Canvas, count: int, progress: Progress) -> Tensor:
        recipe = replace(run.recipe, space=PixelSpace(canvas=canvas))
        image_sampler = self.image_sampler(run, recipe)
        return image_sampler.of_numbers(torch.arange(count), progress)

    def _sweep(self, judged: Judged, images: Tensor) -> list[dict[str, Any]]:
        features = judged.read(images).features
        assert features is not None
        most = min(MOST_NEIGHBOURS, len(features) - 1, len(judged.reference.some) - 1)
        return sweep_rows(manifold_scores(judged.reference.some, features, range(1, most + 1)))


def canvas_of(run: TrainedRun) -> Canvas:
    """What a run's chains start from."""
    space = run.recipe.space
    return space.canvas if isinstance(space, PixelSpace) else "normal"
