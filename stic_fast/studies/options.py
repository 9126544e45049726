# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The options that studies share: of all, of those that draw, and of those that have drawn images judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast.counts import Count, CountOrZero, Options, Seed
from stic_fast.sampling import Recipe
from stic_fast.studies.judged import Judged
from stic_fast.training import ImageSampler, Progress, TrainedRun


@dataclass(frozen=True)
class RunOptions(Options):
    """A study of a run."""

    # Folder of a trained run.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Of the noise of the chains, and of everything else that is drawn.
    seed: Seed = field(default=0, kw_only=True)
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: Count = field(default=250, kw_only=True)


@dataclass(frozen=True)
class DrawingOptions(RunOptions):
    """A study that draws."""

    # Steps of each chain; None for as many as a run is configured for.
    steps: CountOrZero | None = field(default=None, kw_only=True)

    def image_sampler(self, run: TrainedRun, recipe: Recipe | None = None) -> ImageSampler:
        """How this study draws from a run, by the run's own recipe or by another.

        Raises:
            InputError: an option out of its range.
        """
        return ImageSampler(run, self.seed, self.steps, self.batch_size, recipe=recipe)


@dataclass(frozen=True)
class JudgingOptions(DrawingOptions):
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
        return Judged.of(
            run,
            judge=self.judge,
            n=n,
            seed=self.seed,
            judge_iterations=self.judge_iterations,
            batch_size=self.batch_size,
            progress=progress,
        )
