# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Ways of drawing one under the other: a strip of samples for each, and beside it its numbers as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, BLUE
from stic_fast.plots.tiles import hide_frame, show_tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILE = 0.44  # inches across a sample
GAP = 0.22  # inches between rows
LETTER = 0.085  # inches of a letter of the rows' names
DOTS, BETWEEN = 1.75, 0.35  # inches: a panel of dots, and between panels
ABOVE, BELOW = 0.65, 0.62  # inches over and under the rows


@dataclass(frozen=True)
class Row:
    """One way of drawing."""

    name: str
    """Beside its strip, in lines."""
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
    digits: int = 2
    """After the decimal point."""
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
    wide, high = columns * TILE, lines * TILE * shown[0].shape[2] / shown[0].shape[3]
    step = high + GAP
    names = LETTER * max(len(line) for row in rows for line in row.name.splitlines()) + 0.25
    size = (names + wide + len(quantities) * (DOTS + BETWEEN) + 0.3, ABOVE + step * len(rows) + BELOW)
    figure = Figure(figsize=size, facecolor="white")

    def panel(left: float, width: float) -> Axes:
        """Over all rows: the middle of row r is at height r, counted from the top."""
        place = (left / size[0], BELOW / size[1], width / size[0], step * len(rows) / size[1])
        axes = figure.add_axes(place)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        return axes

    _plot_strips(panel(names, wide), rows, columns, high / step, column_labels)
    for number, quantity in enumerate(quantities):
        left = names + wide + BETWEEN + number * (DOTS + BETWEEN)
        _plot_dots(panel(left, DOTS), rows, quantity)
    if any(quantity.line is not None for quantity in quantities):
        _explain(figure, line_label, (names / size[0], (BELOW - 0.08) / size[1]))
    return figure


def _plot_strips(
    axes: Axes, rows: Sequence[Row], columns: int, height: float, column_labels: Sequence[str] | None
) -> None:
    axes.set_xlim(0, columns)
    for number, row in enumerate(rows):
        if row.images is None:
            axes.text(columns / 2, number, "diverged", ha="center", va="center", color="0.4", fontsize=11)
            continue
        top, bottom = number - height / 2, number + height / 2
        show_tiles(axes, row.images, columns=columns, left=0, right=columns, top=top, bottom=bottom)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=10)
    axes.set_xticks([])
    if column_labels:
        axes.set_xticks([column + 0.5 for column in range(columns)], column_labels, fontsize=10)
        axes.xaxis.tick_top()
        upright = max(map(len, column_labels)) > 4
        axes.tick_params(axis="x", labelrotation=90 if upright else 0)
    hide_frame(axes)


def _plot_dots(axes: Axes, rows: Sequence[Row], quantity: Quantity) -> None:
    from matplotlib.ticker import MaxNLocator

    places = [number for number, row in enumerate(rows) if quantity.name in row.values]
    values = [rows[number].values[quantity.name] for number in places]
    if quantity.line is not None:
        axes.axvline(quantity.line, color=BLACK, linestyle="--", linewidth=1.2, zorder=1)
    axes.hlines(places, 0, values, color=BLUE, linewidth=1.4, alpha=0.4, zorder=2)
    axes.plot(values, places, marker="o", markersize=8, linestyle="none", color=BLUE, zorder=3)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for value, place in zip(values, places, strict=True):
        text = axes.annotate(f"{value:.{quantity.digits}f}", (value, place), xytext=(0, 9), textcoords="offset points")
        text.set(ha="center", fontsize=9, bbox=ground, zorder=4)
    axes.set_xlim(0, 1.2 * max([*values, quantity.line or 0.0, 1e-9]))
    axes.set_title(quantity.name, fontsize=10.5, pad=6)
    axes.set_xlabel(quantity.note, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(axis="x", labelsize=9)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _explain(figure: Figure, line_label: str, corner: tuple[float, float]) -> None:
    """A legend whose upper left corner is there."""
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=BLACK, linestyle="--", linewidth=1.2)
    figure.legend([line], [line_label], loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=10)
