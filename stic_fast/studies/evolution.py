# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The evolution of a run: the same chains, canvas, noise and condition, through the classifier of every pass.

STIC, figure 3b.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
from torch import Tensor

from stic_fast.counts import MOST, Count, Range
from stic_fast.plots.curves import LOSS, Panel, Record, plot_panel, surviving
from stic_fast.plots.image_rows import Block, plot_image_rows, row_labels, tile_size
from stic_fast.plots.looks import Band, stack
from stic_fast.studies.drawing_with import steps_of
from stic_fast.studies.pass_ends import logged_accuracies, pass_ends
from stic_fast.studies.study import DrawingStudy, StudyResult
from stic_fast.training import Progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSS_HEIGHT = 2.1  # inches
LETTER, LINE = 0.08, 0.19  # inches that one takes of the title
FILLED = 0.94  # share of the way to the next column that an image takes
TITLE = "Drawn after each pass, a row from one canvas, noise and condition (%: the classifier's test accuracy)"


class Moment(NamedTuple):
    """A column."""

    iteration: int
    """Of the training, when these weights were."""
    label: str
    images: Tensor
    """uint8 (rows, C, H, W)."""


@dataclass(frozen=True)
class Evolution(DrawingStudy):
    """Draw one chain per class after every pass, under the curve of the training loss."""

    # Passes to show at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11
    # Classes to show at most, from the first on.
    classes: Count = 10

    def compute(self, progress: Progress) -> StudyResult:
        """Draws with the weights of each pass."""
        newest = self.opened()
        ends, accuracies = pass_ends(newest.folder, self.passes), logged_accuracies(newest.folder)
        names = newest.class_names[: self.classes]
        metrics, moments = newest.folder.read_metrics(), []
        for number in ends:
            run = newest.after_pass(number)
            images = self.image_sampler(run).of_classes(torch.arange(len(names)), progress)
            moments.append(Moment(number * run.config.iterations, _label(number, accuracies.get(number)), images))
        record = {
            "steps": steps_of(self.image_sampler(newest)),
            "classes": names,
            "passes": [
                {"pass": number, "iteration": moment.iteration, "test_accuracy": accuracies.get(number)}
                for number, moment in zip(ends, moments, strict=True)
            ],
            "losses": [
                {key: value for key, value in each.items() if key == "iteration" or key.startswith("loss")}
                for each in metrics
                if each["kind"] == "train"
            ],
        }
        panel = next((each for each in newest.method.curves if isinstance(each, Panel)), LOSS)
        return StudyResult(evolution_figure(metrics, moments, names, panel=panel), record)


def evolution_figure(
    metrics: Sequence[Record], moments: Sequence[Moment], names: Sequence[str], *, panel: Panel = LOSS
) -> Figure:
    """A panel of curves, such as the loss, and below it a column of images at each moment's iteration, a row a name."""
    places = [moment.iteration for moment in moments]
    step = min((after - before for before, after in itertools.pairwise(places)), default=1)
    first, last = places[0] - step / 2, places[-1] + step / 2
    tile_width, tile_height = tile_size(moments[0].images)
    width, half = tile_width / FILLED * (last - first) / step, FILLED * step / 2
    title = textwrap.wrap(TITLE, int(width / LETTER))
    bands = [Band(0.75, LOSS_HEIGHT), Band(1.2 + LINE * len(title), len(names) * tile_height)]
    figure, (loss, tiles) = stack(width, bands, left=1.0, below=0.1)
    plot_panel(loss, panel, surviving(metrics))
    plot_image_rows(
        tiles,
        [Block(images, 1, at - half, at + half, 0, len(names)) for at, _, images in moments],
        rows=row_labels(names),
        columns=[(moment.iteration, moment.label) for moment in moments],
        title="\n".join(title),
    )
    tiles.set_ylabel("class asked for")
    for axes in (loss, tiles):
        axes.set_xlim(first, last)
    return figure


def _label(number: int, accuracy: float | None) -> str:
    r"""What stands above a column.

    >>> _label(3, 0.981)
    'pass 3\n98.1 %'
    """
    if number == 0:
        return "before\ntraining"
    return f"pass {number}" if accuracy is None else f"pass {number}\n{100 * accuracy:.1f} %"
