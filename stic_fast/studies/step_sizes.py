# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the chain's two step sizes do to the drawn images, each pair of them tried (STIC, figure 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch

from stic_fast.counts import MOST, NotNegative, Range
from stic_fast.errors import Diverged, InputError
from stic_fast.evaluation.image_scores import MEANINGS, Score
from stic_fast.plots.step_sizes import Surface, step_size_figure
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.study import StudyResult
from stic_fast.training import Progress, TrainedRun, open_run

SHOWN = ("FD", "Cls_R")


@dataclass(frozen=True)
class StepSizes(JudgingOptions):
    """Score the images over a grid of the step sizes ε1 and ε2."""

    # Step sizes along ∇log p(y|x), as multiples of the run's own.
    eps1: tuple[NotNegative, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # Step sizes against the gradient of the Gram loss, as multiples of the run's own.
    eps2: tuple[NotNegative, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # Images for each pair, of the same classes and from the same canvases.
    n: Annotated[int, Range(2, MOST)] = 150

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with each pair, and judges."""
        run = open_run(self.run)
        own = run.config.sampler
        eps1, eps2 = _sizes("eps1", own.eps1, self.eps1), _sizes("eps2", own.eps2, self.eps2)
        judged = self.judged(run, self.n, progress)
        pairs = [(down, up) for down in eps2 for up in eps1]
        found: dict[tuple[float, float], dict[str, Score] | None] = {}
        for number, (down, up) in enumerate(pairs, 1):
            scores = found[down, up] = self._scores(run, judged, up, down, progress)
            told = "diverged" if scores is None else f"{judged.name('FD')} {scores['FD'].value:.3g}"
            progress.say(f"pair {number} of {len(pairs)}: ε1 = {up:.3g}, ε2 = {down:.3g}: {told}")
        real, noise = judged.real(), judged.noise()
        surfaces = {
            name: Surface(
                judged.name(name),
                MEANINGS[name].better,
                [[_value(found[down, up], name) for up in eps1] for down in eps2],
                real[name].value,
            )
            for name in SHOWN
            if name in real
        }
        record: dict[str, Any] = {"n": self.n, "judge": judged.judge.name, "eps1": eps1, "eps2": eps2}
        record["own"] = {"eps1": own.eps1, "eps2": own.eps2}
        record["scores"] = [
            {
                "name": surface.name,
                "better": surface.better,
                "values": surface.values,
                "best": _best(surface, eps1, eps2),
                "real": surface.real,
                "noise": noise[name].value,
            }
            for name, surface in surfaces.items()
        ]
        figure = step_size_figure(list(surfaces.values()), eps1=eps1, eps2=eps2, own=(own.eps1, own.eps2))
        return StudyResult(figure, record)

    def _scores(
        self, run: TrainedRun, judged: Judged, eps1: float, eps2: float, progress: Progress
    ) -> dict[str, Score] | None:
        """Of images drawn with these step sizes; None where a chain diverged."""
        recipe = run.recipe.with_samplers(eps1=eps1, eps2=eps2)
        numbers = torch.arange(self.n)
        try:
            image_sampler = self.image_sampler(run, recipe)
            images = image_sampler.of_numbers(numbers, progress)
        except Diverged:
            return None
        return judged.scores(images, numbers % run.model.num_classes)


def _sizes(option: str, own: float, multiples: Sequence[float]) -> list[float]:
    """Each multiple of the run's own step size once, rising.

    >>> _sizes("eps1", 0.5, (2, 1, 1)), _sizes("eps2", 0.0, (0.5, 1))
    ([0.5, 1.0], [0.0])
    """
    if not multiples:
        raise InputError(f"--{option} must be multiples of the run's own step size, got none; give some, as 0.5 1 2")
    return sorted({own * multiple for multiple in multiples})


def _value(scores: dict[str, Score] | None, name: str) -> float | None:
    return None if scores is None else scores[name].value


def _best(surface: Surface, eps1: Sequence[float], eps2: Sequence[float]) -> dict[str, float] | None:
    place = surface.best()
    return None if place is None else {"eps1": eps1[place[1]], "eps2": eps2[place[0]]}
