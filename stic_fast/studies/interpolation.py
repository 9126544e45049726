# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How smoothly a run goes from one class to another, beside another run or a mix of pixels (STIC, figure 4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError
from stic_fast.noise_addresses import PATHS
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.plots.interpolation import Strips, interpolation_figure
from stic_fast.sampling import interpolate
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.other_runs import open_beside
from stic_fast.studies.sampling_error import error_of_mean
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

MOST_FRAMES = 100
SHOWN = 3  # paths in the picture
QUANTITIES = ("either", "second", "step")


@dataclass(frozen=True)
class Interpolation(JudgingOptions):
    """Draw paths from one class to another, and judge whether what lies between is of either class."""

    # Class, by number or name, that paths start from.
    start: Annotated[str, tyro.conf.arg(name="from", metavar="CLASS")]
    # Class that they lead to.
    to: Annotated[str, tyro.conf.arg(metavar="CLASS")]
    # Another run to compare with, on the same canvases and noise; None for real images mixed pixel by pixel.
    baseline: Path | None = None
    # Number of paths; the picture shows the first three.
    n: Annotated[int, Range(1, MOST // MOST_FRAMES)] = 16
    # Images along a path, both ends included.
    frames: Annotated[int, Range(2, MOST_FRAMES)] = 9

    def compute(self, progress: Progress) -> StudyResult:
        """Draws both sets of paths, and judges them.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        run = open_run(self.run)
        names = run.splits.train.class_names
        ends = find_class(self.start, names), find_class(self.to, names)
        if ends[0] == ends[1]:
            raise InputError(f"--from and --to both name class {names[ends[0]]!r}; a path needs two classes")
        others = [] if self.baseline is None else [self.baseline]
        runs = open_beside(run, others)
        judged = self.judged(run, self.n * self.frames, progress)
        shares = [frame / (self.frames - 1) for frame in range(self.frames)]
        drawn = {
            name: self.image_sampler(each).of_paths(*ends, self.n, shares, progress) for name, each in runs.items()
        }
        if not others:
            drawn["real images, pixels mixed"] = self._mixed(run, ends, shares)
        measured = {name: self._measure(judged, images, ends) for name, images in drawn.items()}
        real = self._real(run, judged, ends)
        strips = [
            Strips(name, images[: SHOWN * self.frames], **{key: measured[name][key] for key in QUANTITIES})
            for name, images in drawn.items()
        ]
        record = {
            "judge": judged.judge.name,
            "from": names[ends[0]],
            "to": names[ends[1]],
            "paths": self.n,
            "shares": shares,
            "real": {"either": real},
            "runs": {name: _written(found) for name, found in measured.items()},
        }
        return StudyResult(interpolation_figure(shares, (names[ends[0]], names[ends[1]]), strips, real=real), record)

    def _mixed(self, run: TrainedRun, ends: tuple[int, int], shares: list[float]) -> Tensor:
        """Paths between the real images that the run's own paths refer to, pixel by pixel."""
        train = run.splits.train
        condition = interpolate(
            train.labels,
            *ends,
            self.n,
            shares,
            references=run.recipe.references,
            seed=self.seed,
            chain_ids=PATHS.ids(2 * self.n, device=train.labels.device),
        )
        return to_bytes(condition.references(train.images)[:, 0])

    def _measure(self, judged: Judged, images: Tensor, ends: tuple[int, int]) -> dict[str, list[tuple[float, float]]]:
        """Means over the paths and their standard errors, by quantity: of each frame, of each step between two.

        either: p(A) + p(B), whether the judge sees one of the two classes at all; second: p(B) / (p(A) + p(B));
        step: the Euclidean distance from a frame to the next, pixels in [−1, 1].
        """
        probabilities = judged.probabilities(images).view(self.n, self.frames, -1)
        either = probabilities[..., ends].sum(2)
        second = probabilities[..., ends[1]] / either.clamp_min(torch.finfo(either.dtype).tiny)
        paths = to_unit(images).view(self.n, self.frames, -1)
        step = (paths[:, 1:] - paths[:, :-1]).norm(dim=2)
        found = {"either": either, "second": second, "step": step}
        return {
            name: [(float(column.mean()), error_of_mean(column)) for column in values.unbind(1)]
            for name, values in found.items()
        }

    def _real(self, run: TrainedRun, judged: Judged, ends: tuple[int, int]) -> float | None:
        """The mean of p(A) + p(B) over real test images of the two classes: how sure the judge can be."""
        test = run.splits.test
        images = test.images[torch.isin(test.labels, torch.tensor(ends))]
        return float(judged.probabilities(images)[:, ends].sum(1).mean()) if len(images) else None


def _written(found: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    return {
        name: {"mean": [value for value, _ in points], "error": [error for _, error in points]}
        for name, points in found.items()
    }
