# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A judge beside a run."""

from __future__ import annotations

from stic_fast.evaluation.judging import Judging
from stic_fast.training import Progress, TrainedRun


class Judged(Judging):
    """A judge beside a run's real images; `Judged.of` makes it."""

    @classmethod
    def of(
        cls,
        run: TrainedRun,
        *,
        judge: str = "cnn",
        n: int,
        seed: int,
        judge_iterations: int = 600,
        batch_size: int = 250,
        progress: Progress,
    ) -> Judged:
        """As `Judging.by`, for the run's images and the classes of its model."""
        return cls.by(
            judge,
            run.splits,
            n=n,
            seed=seed,
            judge_iterations=judge_iterations,
            batch_size=batch_size,
            progress=progress,
        )
