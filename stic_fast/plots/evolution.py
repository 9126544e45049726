# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What was drawn at moments of a training, in columns under a curve of that training (STIC, figure 3b)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from stic_fast.plots.curves import LOSS, Panel, Record, plot_panel, surviving
from stic_fast.plots.image_rows import Block, plot_image_rows, row_labels, tile_size
from stic_fast.plots.looks import Band, stack

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
