# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the chain's two step sizes do to the drawn images, each pair of them tried (STIC, figure 8)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch

from stic_fast.counts import MOST, NotNegative, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.image_scores import MEANINGS, Score
from stic_fast.plots.heat_map import HeatMap, plot_heat_map
from stic_fast.plots.looks import legend, new_figure, panels
from stic_fast.studies.drawing_with import step_sizes_of, with_step_sizes
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("FD", "Cls_R")
CELL = (0.82, 0.62)  # inches, wide and high


@dataclass(frozen=True)
class StepSizes(JudgingStudy):
    """Score the images over a grid of the step sizes ε1 and ε2."""

    # Step sizes along ∇log p(y|x), as multiples of the run's own.
    eps1: tuple[NotNegative, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # Step sizes against the gradient of the Gram loss, as multiples of the run's own.
    eps2: tuple[NotNegative, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    # Images for each pair, of the same classes and from the same canvases.
    n: Annotated[int, Range(2, MOST)] = 150

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with each pair, and judges."""
        run = self.opened()
        own = step_sizes_of(run)
        eps1, eps2 = _sizes("eps1", own[0], self.eps1), _sizes("eps2", own[1], self.eps2)
        judged = self.judged(run, self.n, progress)
        found: dict[tuple[float, float], dict[str, Score] | None] = {}
        for number, (down, up) in enumerate(itertools.product(eps2, eps1), 1):
            images = self.draw_unless_diverged(run, self.n, progress, with_step_sizes(run, up, down))
            scores = None if images is None else judged.scores(images, torch.arange(self.n) % run.model.num_classes)
            found[down, up] = scores
            told = "diverged" if scores is None else f"{judged.name('FD')} {scores['FD'].value:.3g}"
            progress.say(f"pair {number} of {len(eps1) * len(eps2)}: ε1 = {up:.3g}, ε2 = {down:.3g}: {told}")
        real, noise = judged.real(), judged.noise()
        maps, rows = [], []
        for name in [name for name in SHOWN if name in real]:
            values = [[_value(found[down, up], name) for up in eps1] for down in eps2]
            maps.append(HeatMap(judged.name(name), MEANINGS[name].better, values, real[name].value))
            best = maps[-1].best()
            rows.append(
                {
                    "name": maps[-1].name,
                    "better": maps[-1].better,
                    "values": values,
                    "best": best and {"eps1": eps1[best[1]], "eps2": eps2[best[0]]},
                    "real": real[name].value,
                    "noise": noise[name].value,
                }
            )
        record: dict[str, Any] = {"n": self.n, "judge": judged.judge.name, "eps1": eps1, "eps2": eps2}
        record |= {"own": {"eps1": own[0], "eps2": own[1]}, "scores": rows}
        return StudyResult(step_size_figure(maps, eps1=eps1, eps2=eps2, own=own), record)


def _value(scores: dict[str, Score] | None, name: str) -> float | None:
    return None if scores is None else scores[name].value


def _sizes(option: str, own: float, multiples: Sequence[float]) -> list[float]:
    """Each multiple of the run's own step size once, rising.

    >>> _sizes("eps1", 0.5, (2, 1, 1)), _sizes("eps2", 0.0, (0.5, 1))
    ([0.5, 1.0], [0.0])
    """
    if not multiples:
        raise InputError(f"--{option} must be multiples of the run's own step size, got none; give some, as 0.5 1 2")
    return sorted({own * multiple for multiple in multiples})


def step_size_figure(
    maps: Sequence[HeatMap], *, eps1: Sequence[float], eps2: Sequence[float], own: tuple[float, float]
) -> Figure:
    """A heat map for each score: ε1 to the right, ε2 upwards, the run's own pair framed where the grid has it."""
    width = (max(CELL[0] * len(eps1), 2.6) + 1.7) * len(maps)
    figure = new_figure(width, CELL[1] * len(eps2) + 2.0)
    cell = (list(eps2).index(own[1]), list(eps1).index(own[0])) if own[0] in eps1 and own[1] in eps2 else None
    for axes, shown in zip(panels(figure, len(maps), columns=len(maps)), maps, strict=True):
        plot_heat_map(axes, shown, own=cell)
        axes.set_xticks(range(len(eps1)), [f"{size:.3g}" for size in eps1])
        axes.set_yticks(range(len(eps2)), [f"{size:.3g}" for size in eps2])
        axes.set_xlabel("ε1, step uphill along ∇log p")
        axes.set_ylabel("ε2, step downhill\nagainst the Gram loss")
    legend(figure, place="upper left")
    return figure
