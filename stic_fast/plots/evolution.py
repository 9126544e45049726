# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a run draws as it learns: images below its loss, a column where each pass ended (STIC, figure 3b)."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.curves import LOSS, Panel, Record, plot_panel, surviving
from stic_fast.plots.tiles import hide_frame, show_tiles, tile_size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOSS_HEIGHT = 2.1  # inches
LEFT, RIGHT, ABOVE, BETWEEN, BELOW = 1.0, 0.2, 0.75, 1.2, 0.1  # inches around and between the panels
TITLE_SIZE = 11  # points
LETTER, LINE = 0.52 * TITLE_SIZE / 72, 1.25 * TITLE_SIZE / 72  # inches that one takes of the title
FILLED = 0.94  # share of the way to the next column that an image takes


class Moment(NamedTuple):
    """A column."""

    iteration: int
    """Of the training, when these weights were."""
    label: str
    images: Tensor
    """uint8 (rows, C, H, W)."""


def evolution_figure(
    metrics: Sequence[Record],
    moments: Sequence[Moment],
    row_labels: Sequence[str],
    *,
    panel: Panel = LOSS,
    title: str = "",
) -> Figure:
    """A panel of curves, such as the loss, and below it a column of images at each moment's iteration.

    Args:
        metrics: records of metrics.jsonl, see `training_figure`.
        moments: in the order of the training, each with one image per row label.
        panel: the numbers of the records that are drawn.
        title: of the images.

    Raises:
        InputError: no moments.

    >>> import torch
    >>> blank = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    >>> figure = evolution_figure([], [Moment(0, "start", blank), Moment(50, "end", blank)], ["cat", "dog"])
    >>> [label.get_text() for label in figure.axes[1].get_xticklabels()]
    ['start', 'end']
    """
    from matplotlib.figure import Figure

    if not moments:
        raise InputError("there is no pass to draw; train the run first")
    places = [moment.iteration for moment in moments]
    step = min((after - before for before, after in itertools.pairwise(places)), default=1)
    first, last = places[0] - step / 2, places[-1] + step / 2
    rows, (tile_width, tile_height) = len(row_labels), tile_size(moments[0].images)
    panel_width, tiles_height = tile_width / FILLED * (last - first) / step, rows * tile_height
    lines = textwrap.wrap(title, int(panel_width / LETTER))
    width = LEFT + panel_width + RIGHT
    height = ABOVE + LOSS_HEIGHT + BETWEEN + LINE * len(lines) + tiles_height + BELOW
    figure = Figure(figsize=(width, height), facecolor="white")
    across = (LEFT / width, panel_width / width)
    loss = figure.add_axes((across[0], 1 - (ABOVE + LOSS_HEIGHT) / height, across[1], LOSS_HEIGHT / height))
    tiles = figure.add_axes((across[0], BELOW / height, across[1], tiles_height / height))
    plot_panel(loss, panel, surviving(metrics))
    loss.set_xlim(first, last)
    tiles.set_xlim(first, last)
    tiles.set_ylim(rows, 0)
    for moment in moments:
        half = FILLED * step / 2
        edges = {"left": moment.iteration - half, "right": moment.iteration + half, "top": 0, "bottom": rows}
        show_tiles(tiles, moment.images, columns=1, **edges)
    tiles.set_xticks(places, [moment.label for moment in moments])
    tiles.xaxis.tick_top()
    tiles.set_yticks([row + 0.5 for row in range(rows)], list(row_labels))
    tiles.set_ylabel("class asked for")
    tiles.set_title("\n".join(lines), loc="left", fontsize=TITLE_SIZE, pad=10)
    hide_frame(tiles)
    return figure
