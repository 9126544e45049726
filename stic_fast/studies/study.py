# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a study is and finds, and the options of all studies of a run, of those that draw, and of those that judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import torch
import tyro
from torch import Tensor

from stic_fast.counts import Count, CountOrZero, Options, Seed
from stic_fast.errors import Diverged
from stic_fast.sampling import Recipe
from stic_fast.studies.judged import Judged
from stic_fast.training import ImageSampler, Progress, TrainedRun, open_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class StudyResult:
    """A study's result."""

    figure: Figure
    """Made without pyplot."""
    record: dict[str, Any]
    """All numbers in the picture, of types that JSON knows; a number that is not finite becomes null there."""


class Study(Protocol):
    """One question about a trained run: a frozen dataclass of options that carries itself out."""

    @property
    def run(self) -> Path:
        """Folder of the run."""

    @property
    def seed(self) -> int:
        """Of all noise."""

    def compute(self, progress: Progress) -> StudyResult:
        """Draws, measures and pictures.

        Raises:
            InputError: a run or an option that cannot be used.
        """


@dataclass(frozen=True)
class RunStudy(Options):
    """A study of a run."""

    # Folder of a trained run, or pretrained:NAME.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Of the noise of the chains, and of everything else that is drawn.
    seed: Seed = field(default=0, kw_only=True)
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: Count = field(default=250, kw_only=True)
    # Where the run's images lie, as --data of a training names them; None for where they were when it was trained.
    # The images of some pretrained runs do not come with them.
    data: str | None = field(default=None, kw_only=True)

    def opened(self) -> TrainedRun:
        """The run with its images; InputError where there is none."""
        return open_run(self.run, data=self.data)


@dataclass(frozen=True)
class DrawingStudy(RunStudy):
    """A study that draws."""

    # Steps of each chain; None for as many as a run is configured for.
    steps: CountOrZero | None = field(default=None, kw_only=True)

    def image_sampler(self, run: TrainedRun, recipe: Recipe | None = None) -> ImageSampler:
        """How this study draws from a run, by the run's own recipe or by another."""
        return ImageSampler(run, self.seed, self.steps, self.batch_size, recipe=recipe)

    def draw(self, run: TrainedRun, n: int, progress: Progress, recipe: Recipe | None = None) -> Tensor:
        """n images of one class after the other, uint8 (n, C, H, W): image i is of class i mod the number of classes.

        Raises:
            Diverged: a chain that came to nothing.
        """
        return self.image_sampler(run, recipe).of_numbers(torch.arange(n), progress)

    def draw_unless_diverged(self, run: TrainedRun, n: int, progress: Progress, recipe: Recipe) -> Tensor | None:
        """The same by a recipe that may be too bold; None where a chain diverged."""
        try:
            return self.draw(run, n, progress, recipe)
        except Diverged:
            return None


@dataclass(frozen=True)
class JudgingStudy(DrawingStudy):
    """A study that has drawn images judged."""

    # Who reads the images: cnn, trained on the run's real data; resnet20:PATH; torchscript:PATH?OPTIONS.
    judge: str = field(default="cnn", kw_only=True)
    # Iterations of the cnn judge's training.
    judge_iterations: Count = field(default=600, kw_only=True)

    def judged(self, run: TrainedRun, n: int, progress: Progress) -> Judged:
        """The judge of this study beside a run, for sets of n images.

        Raises:
            InputError: a judge that cannot be had, or numbers out of their range.
        """
        settings: dict[str, Any] = {"judge": self.judge, "judge_iterations": self.judge_iterations}
        return Judged.of(run, n=n, seed=self.seed, batch_size=self.batch_size, **settings, progress=progress)
