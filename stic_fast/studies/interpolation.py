# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How smoothly a run goes from one class to another, beside another run or a mix of pixels (STIC, figure 4)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import tyro
from torch import Tensor

from stic_fast.counts import MOST, Range
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError
from stic_fast.pixels import to_unit
from stic_fast.plots.image_rows import Block, Labels, plot_image_rows, tile_size
from stic_fast.plots.lines import Line, LinePanel, Points, plot_lines
from stic_fast.plots.looks import COLOURS, Band, stack
from stic_fast.studies.drawing_with import mixed_pixels
from stic_fast.studies.judged import Judged
from stic_fast.studies.other_runs import open_beside
from stic_fast.studies.sampling_error import mean_with_error
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress, TrainedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FRAMES = 100
SHOWN = 3  # paths in the picture
QUANTITIES = {
    "either": "judge:\np(A) + p(B)",
    "second": "of the two,\np(B)",
    "step": "step to the next\n(Euclidean, pixels\nin [−1, 1])",
}
CURVE_HEIGHT = 1.5  # inches
MOST_LABELS = 11  # along an axis


@dataclass(frozen=True)
class Interpolation(JudgingStudy):
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
        """Draws both sets of paths, and judges them."""
        run = self.opened()
        classes = run.class_names
        ends = find_class(self.start, classes), find_class(self.to, classes)
        names = classes[ends[0]], classes[ends[1]]
        if ends[0] == ends[1]:
            raise InputError(f"--from and --to both name class {names[0]!r}; a path needs two classes")
        runs = open_beside(run, [] if self.baseline is None else [self.baseline], self.data)
        judged = self.judged(run, self.n * self.frames, progress)
        shares = [frame / (self.frames - 1) for frame in range(self.frames)]
        drawn = {
            name: self.image_sampler(each).of_paths(*ends, self.n, shares, progress) for name, each in runs.items()
        }
        if self.baseline is None:
            drawn["real images, pixels mixed"] = mixed_pixels(run, ends, self.n, shares, self.seed)
        measured = {name: self._measure(judged, images, ends) for name, images in drawn.items()}
        real = _real(run, judged, ends)
        record = {
            "judge": judged.judge.name,
            "from": names[0],
            "to": names[1],
            "paths": self.n,
            "shares": shares,
            "real": {"either": real},
            "runs": {
                name: {
                    key: {"mean": [value for value, _ in points], "error": [error for _, error in points]}
                    for key, points in found.items()
                }
                for name, found in measured.items()
            },
        }
        shown = {name: images[: SHOWN * self.frames] for name, images in drawn.items()}
        return StudyResult(interpolation_figure(shares, names, shown, measured, real=real), record)

    def _measure(self, judged: Judged, images: Tensor, ends: tuple[int, int]) -> dict[str, Points]:
        """Means over the paths and their standard errors, by quantity: of each frame, of each step between two.

        either: p(A) + p(B), whether the judge sees one of the two classes at all; second: p(B) / (p(A) + p(B));
        step: the Euclidean distance from a frame to the next, pixels in [−1, 1].
        """
        probabilities = judged.probabilities(images).view(self.n, self.frames, -1)
        either = probabilities[..., ends].sum(2)
        second = probabilities[..., ends[1]] / either.clamp_min(torch.finfo(either.dtype).tiny)
        paths = to_unit(images).view(self.n, self.frames, -1)
        step = (paths[:, 1:] - paths[:, :-1]).norm(dim=2)
        found = dict(zip(QUANTITIES, (either, second, step), strict=True))
        return {name: [mean_with_error(column) for column in values.unbind(1)] for name, values in found.items()}


def _real(run: TrainedRun, judged: Judged, ends: tuple[int, int]) -> float | None:
    """The mean of p(A) + p(B) over real test images of the two classes: how sure the judge can be."""
    test = run.splits.test
    images = test.images[torch.isin(test.labels, torch.tensor(ends))]
    return float(judged.probabilities(images)[:, ends].sum(1).mean()) if len(images) else None


def interpolation_figure(
    shares: Sequence[float],
    classes: tuple[str, str],
    strips: Mapping[str, Tensor],
    measured: Mapping[str, Mapping[str, Points]],
    *,
    real: float | None,
) -> Figure:
    """Strips of images with a column per share of the second class, and three panels of curves in line with them.

    Args:
        shares: of the second class, from 0 to 1.
        classes: names of the first, A, and the second, B.
        strips: paths by the name of who drew them, uint8 (paths·len(shares), C, H, W), path by path.
        measured: of the same, by quantity: either and second of each frame, step from each to the next.
        real: either, of real images of the two; None where there are none.
    """
    across, down = tile_size(next(iter(strips.values())))
    width, half, labels = len(shares) * across, 0.5 / (len(shares) - 1), _labels(shares)
    rows = [len(images) // len(shares) for images in strips.values()]
    bands = [Band(0.28 if number else 0.75, each * down) for number, each in enumerate(rows)]
    figure, axes = stack(width, bands + [Band(0.5, CURVE_HEIGHT)] * len(QUANTITIES), left=1.15, below=0.6)
    for number, ((name, images), colour) in enumerate(zip(strips.items(), COLOURS, strict=False)):
        block = Block(images, len(shares), -half, 1 + half, 0, rows[number])
        title = "" if number else f"from A = {classes[0]} to B = {classes[1]}, by the share of B"
        plot_image_rows(axes[number], [block], columns=() if number else labels, title=title)
        axes[number].set_ylabel(name, color=colour)
    either, _, last = curves = axes[len(strips) :]
    for panel, (key, quantity) in zip(curves, QUANTITIES.items(), strict=True):
        steps = [(before + after) / 2 for before, after in itertools.pairwise(shares)]
        places = steps if key == "step" else shares
        coloured = zip(measured.items(), COLOURS, strict=False)
        lines = [Line(name, places, found[key], colour) for (name, found), colour in coloured]
        levels = {} if real is None or panel is not either else {"real images of both classes": real}
        plot_lines(panel, LinePanel(lines, y=quantity, levels=levels, share=key != "step"))
        panel.set_xticks([place for place, _ in labels], [text for _, text in labels])
        panel.set_xlim(-half, 1 + half)
        panel.set_ylim(bottom=0)
    either.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    last.set_xlabel("share of B that is asked for (bars: ±2 standard errors)")
    return figure


def _labels(shares: Sequence[float]) -> Labels:
    """In per cent; where frames are many, only some have one.

    >>> _labels([0, 0.5, 1])
    [(0, '0 %'), (0.5, '50 %'), (1, '100 %')]
    """
    every = -(-(len(shares) - 1) // MOST_LABELS) or 1
    return [(share, f"{100 * share:.3g} %" if number % every == 0 else "") for number, share in enumerate(shares)]
