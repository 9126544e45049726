# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Ways of drawing one under the other: a strip of samples for each, and beside it its numbers as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, BLUE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 0.44  # inches a side of a sample
GAP = 0.22  # inches between rows
NAMES, DOTS, BETWEEN = 1.9, 1.75, 0.35  # inches: the rows' names, a panel of dots, and between panels
ABOVE, BELOW = 1.05, 0.75  # inches over and under the rows


@dataclass(frozen=True)
class Row:
    """One way of drawing."""

    name: str
    images: Tensor | None
    """uint8 (N, C, H, W); None where nothing could be drawn."""
    values: Mapping[str, float]
    """By name of the quantity; one that is left out has no dot."""


@dataclass(frozen=True)
class Quantity:
    """One panel of dots."""

    name: str
    note: str
    """Below its axis: which way is better, or a unit."""
    line: float | None = None
    """A value to compare with, drawn across all rows."""


def sample_rows_figure(
    rows: Sequence[Row],
    quantities: Sequence[Quantity],
    *,
    columns: int,
    line_label: str,
    column_labels: Sequence[str] | None = None,
) -> Figure:
    """Strips of samples, `columns` side by side, with a panel for each quantity to their right.

    Args:
        rows: from the top; each with as many images as the others, or none.
        quantities: panels from the left.
        line_label: what the dashed lines are.
        column_labels: over the samples.

    Raises:
        InputError: no rows, or none that has images.

    >>> import torch
    >>> images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    >>> rows = [Row("none", images, {"FD": 3.0}), Row("deep", None, {})]
    >>> figure = sample_rows_figure(rows, [Quantity("FD", "lower is better")], columns=2, line_label="real")
    >>> len(figure.axes), figure.axes[1].get_title()
    (2, 'FD')
    """
    from matplotlib.figure import Figure

    shown = [row.images for row in rows if row.images is not None]
    if not shown:
        raise InputError("there are no samples to show; every chain diverged, so lower the step sizes")
    lines = -(-len(shown[0]) // columns)
    wide, step = columns * TILE, lines * TILE + GAP
    size = (NAMES + wide + len(quantities) * (DOTS + BETWEEN) + 0.3, ABOVE + step * len(rows) + BELOW)
    figure = Figure(figsize=size, facecolor="white")

    def panel(left: float, width: float) -> Axes:
        """Over all rows: the middle of row r is at height r, counted from the top."""
        place = (left / size[0], BELOW / size[1], width / size[0], step * len(rows) / size[1])
        axes = figure.add_axes(place)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        return axes

    strips = panel(NAMES, wide)
    _draw_strips(strips, rows, columns, lines * TILE / step, column_labels)
    for number, quantity in enumerate(quantities):
        left = NAMES + wide + BETWEEN + number * (DOTS + BETWEEN)
        _draw_dots(panel(left, DOTS), rows, quantity)
    if any(quantity.line is not None for quantity in quantities):
        _explain(figure, line_label)
    return figure


def _draw_strips(
    axes: Axes, rows: Sequence[Row], columns: int, height: float, column_labels: Sequence[str] | None
) -> None:
    axes.set_xlim(0, columns)
    for number, row in enumerate(rows):
        if row.images is None:
            axes.text(columns / 2, number, "diverged", ha="center", va="center", color="0.4", fontsize=11)
            continue
        extent = (0, columns, number + height / 2, number - height / 2)
        axes.imshow(_tiles(row.images, columns), extent=extent, aspect="auto", interpolation="nearest")
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=11)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    if column_labels:
        axes.set_xticks([column + 0.5 for column in range(columns)], column_labels, fontsize=10)
        axes.xaxis.tick_top()
        upright = max(map(len, column_labels)) > 4
        axes.tick_params(axis="x", length=0, labelrotation=90 if upright else 0)


def _draw_dots(axes: Axes, rows: Sequence[Row], quantity: Quantity) -> None:
    from matplotlib.ticker import MaxNLocator

    places = [number for number, row in enumerate(rows) if quantity.name in row.values]
    values = [rows[number].values[quantity.name] for number in places]
    if quantity.line is not None:
        axes.axvline(quantity.line, color=BLACK, linestyle="--", linewidth=1.2, zorder=1)
    axes.hlines(places, 0, values, color=BLUE, linewidth=1.4, alpha=0.4, zorder=2)
    axes.plot(values, places, marker="o", markersize=8, linestyle="none", color=BLUE, zorder=3)
    for value, place in zip(values, places, strict=True):
        axes.annotate(
            f"{value:.3g}", (value, place), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=9
        )
    axes.set_xlim(0, 1.15 * max([*values, quantity.line or 0.0, 1e-9]))
    axes.set_title(quantity.name, fontsize=10.5, pad=6)
    axes.set_xlabel(quantity.note, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="x", labelsize=9)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _explain(figure: Figure, line_label: str) -> None:
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=BLACK, linestyle="--", linewidth=1.2)
    figure.legend([line], [line_label], loc="upper right", frameon=False, fontsize=10)


def _tiles(images: Tensor, columns: int) -> NDArray[np.uint8]:
    """The samples as one RGB picture, row by row, a pixel of white around each; missing ones stay white."""
    count, _, height, width = images.shape
    lines = -(-count // columns)
    pixels = np.full((lines, height + 2, columns, width + 2, 3), 255, dtype=np.uint8)
    colours = images.permute(0, 2, 3, 1).expand(-1, -1, -1, 3).cpu().numpy()
    for number, tile in enumerate(colours):
        pixels[number // columns, 1:-1, number % columns, 1:-1] = tile
    return pixels.reshape(lines * (height + 2), columns * (width + 2), 3)
