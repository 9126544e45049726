# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How near drawn images come to real ones, and how many of them they reach, from every canvas (STIC, figure 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.evaluation import manifold_scores
from stic_fast.evaluation.records import subset, sweep_rows
from stic_fast.plots.manifold import sweep_figure
from stic_fast.studies.drawing_with import CANVASES, canvas_of, with_canvas
from stic_fast.studies.judged import Judged
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress

MOST_NEIGHBOURS = 10


@dataclass(frozen=True)
class Manifold(JudgingStudy):
    """Compare drawn images with real ones by precision, recall, density and coverage, from each canvas."""

    # Further runs on the same images, with commas between; each starts from its own canvas.
    others: str | None = None
    # Images in each set, but no more than there are real test images: the scores compare sets of one size.
    n: Annotated[int, Range(3, MOST)] = 500

    def compute(self, progress: Progress) -> StudyResult:
        """Draws every set, and counts neighbours."""
        run = self.opened()
        test = run.splits.test
        count = min(self.n, len(test))
        runs = open_beside(run, paths_in(self.others), self.data)
        judged = self.judged(run, count, progress)
        (first, _), *others = runs.items()
        own = canvas_of(run)
        canvases = [own, *(canvas for canvas in CANVASES if canvas != own)]
        sets = [(first, run, canvas) for canvas in canvases] + [(name, each, canvas_of(each)) for name, each in others]
        sweeps = {
            f"{name}, {canvas} canvas": _sweep(judged, self.draw(each, count, progress, with_canvas(each, canvas)))
            for name, each, canvas in sets
        }
        sweeps["real"] = _sweep(judged, subset(test.images, test.labels, count, self.seed)[0])
        note = f"{count} images in each set, read by the judge {judged.judge.name}"
        record = {"n": count, "judge": judged.judge.name, "sweeps": sweeps}
        return StudyResult(sweep_figure(sweeps, note=note), record)


def _sweep(judged: Judged, images: Tensor) -> list[dict[str, Any]]:
    features = judged.read(images).features
    assert features is not None
    most = min(MOST_NEIGHBOURS, len(features) - 1, len(judged.reference.some) - 1)
    return sweep_rows(manifold_scores(judged.reference.some, features, range(1, most + 1)))
