# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The first figure primitive: a panel of lines through measured points, each with a bar of two standard errors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stic_fast.errors import InputError
from stic_fast.plots import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]
"""Values with their standard errors, NaN where one is unknown."""
WIDE = 2.0  # standard errors either way: about 95 of 100 such bars hold the true value
WIDE_RANGE = 20.0  # the largest value over the smallest from which an axis that may be is logarithmic
LEVELS = (("--", looks.BLACK), (":", looks.BLUE), ("-.", looks.GREEN))


@dataclass(frozen=True)
class Line:
    """A line of a panel."""

    label: str
    x: Sequence[float]
    points: Points
    colour: str
    look: Mapping[str, Any] = field(default_factory=dict)
    """Other properties of the line, as matplotlib names them."""


@dataclass(frozen=True)
class LinePanel:
    """Lines over one axis, and levels to hold them against."""

    lines: Sequence[Line]
    title: str = ""
    x: str = ""
    y: str = ""
    """Labels of the axes."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """By label, the values of which there is one alone; those that are not finite are left out."""
    share: bool = False
    """Whether values are shares from 0 to 1: the axis is in per cent, and no bar goes beyond."""
    scale: Literal["linear", "log", "log if wide"] = "linear"


def plot_points(axes: Axes, line: Line, *, most: float = math.inf) -> None:
    """A line through points, each with a bar of two standard errors; no bar goes below 0 or beyond `most`.

    >>> axes = looks.new_figure(3, 2).subplots()
    >>> plot_points(axes, Line("share", [1, 2], [(0.9, 0.1), (1.0, 0.1)], "red"), most=1)
    >>> [round(y, 2) for y in axes.containers[0].lines[2][0].get_segments()[0][:, 1].tolist()]
    [0.7, 1.0]
    """
    bars = [0.0 if math.isnan(error) else WIDE * error for _, error in line.points]
    values = [value for value, _ in line.points]
    down = [max(0.0, min(bar, value)) for value, bar in zip(values, bars, strict=True)]
    up = [max(0.0, min(bar, most - value)) for value, bar in zip(values, bars, strict=True)]
    look: dict[str, Any] = {
        "color": line.colour,
        "label": line.label,
        "marker": "o",
        "markersize": 5,
        "linewidth": 1.5,
        **line.look,
    }
    if any(bars):
        axes.errorbar(line.x, values, yerr=[down, up], capsize=3, **look)
    else:
        axes.plot(line.x, values, **look)


def plot_lines(axes: Axes, panel: LinePanel) -> None:
    """The panel's lines and levels, its labels, and its scale."""
    for line in panel.lines:
        plot_points(axes, line, most=1.0 if panel.share else math.inf)
    levels = {label: value for label, value in panel.levels.items() if math.isfinite(value)}
    for (style, colour), (label, value) in zip(LEVELS, levels.items(), strict=False):
        axes.axhline(value, color=colour, linestyle=style, linewidth=1.3, label=label)
    looks.finish(axes, title=panel.title, x=panel.x, y=panel.y)
    values = [value for line in panel.lines for value, _ in line.points] + list(levels.values())
    wide = panel.scale == "log if wide" and min(values) > 0 and max(values) > WIDE_RANGE * min(values)
    if wide or panel.scale == "log":
        looks.logarithmic(axes)
    if panel.share:
        axes.yaxis.set_major_formatter(looks.per_cent)
    if all(isinstance(place, int) for line in panel.lines for place in line.x):
        looks.whole_numbers(axes.xaxis)


def lines_figure(shown: Sequence[LinePanel], *, columns: int = 2) -> Figure:
    """Panels side by side under one legend.

    Raises:
        InputError: nothing to draw.

    >>> panel = LinePanel([Line("drawn", [1, 2], [(4.0, 0.2), (2.0, 0.2)], "red")], title="FD")
    >>> [axes.get_title(loc="left") for axes in lines_figure([panel]).axes]
    ['FD']
    """
    if not any(line.points for panel in shown for line in panel.lines):
        raise InputError("there is nothing to draw; measure something first")
    figure = looks.new_figure(4.8 * columns, 0.5 + 3.1 * -(-len(shown) // columns))
    for axes, panel in zip(looks.panels(figure, len(shown), columns=columns), shown, strict=True):
        plot_lines(axes, panel)
    looks.legend(figure)
    return figure
