# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of several methods as dots, a panel per score: every run in sight, with its mean and what real images get."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, WIDE_RANGE
from stic_fast.plots.grid import write_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#666666"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, GREY)
"""Of the labels in turn; each also has a line of its own, so colours may come again."""
COLUMNS = 4  # at most
SPREAD = 0.36  # of the dots of a label, in units of the distance between labels
TITLE_WIDTH = 30  # letters that fit above a panel
BETTER = {"higher": "better →", "lower": "← better", None: ""}


@dataclass(frozen=True)
class Panel:
    """One score."""

    title: str
    values: Mapping[str, Sequence[float]]
    """By label, one for each run that has it; the labels of all panels are the same."""
    better: Literal["higher", "lower"] | None = None
    real: float | None = None
    """Of real images in place of drawn ones."""


def save_comparison(panels: Sequence[Panel], path: str | PathLike[str]) -> None:
    """Write `comparison_figure(panels)` as a PNG at path, whole or not at all.

    Raises:
        InputError: as `comparison_figure`, or for a path that does not end in ".png".
        OSError: where the file cannot be written; an older file at path is then still whole.
    """
    figure = comparison_figure(panels)
    write_png(path, lambda file: figure.savefig(file, format="png", dpi=130))


def comparison_figure(panels: Sequence[Panel]) -> Figure:
    """Draw a small panel per score, a line per label: a dot per run, a bar at their mean, dashed what real images get.

    An axis is logarithmic where positive values differ by more than a factor of WIDE_RANGE.

    Raises:
        InputError: no panels, or panels of different labels.

    >>> figure = comparison_figure([Panel("FD", {"STIC": [1.2, 2.0], "JEM": []}, "lower", real=0.1)])
    >>> axes = figure.axes[0]
    >>> axes.get_title(loc="left"), [label.get_text() for label in axes.get_yticklabels()]
    ('FD', ['STIC', 'JEM'])
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not panels:
        raise InputError("there is no score to draw; name at least one")
    labels = list(panels[0].values)
    if not labels or any(list(panel.values) != labels for panel in panels):
        raise InputError("all panels must have the same labels, at least one; give an empty list where a value lacks")
    rows = -(-len(panels) // COLUMNS)
    columns = -(-len(panels) // rows)
    widest = max(len(label) for label in labels)
    size = (2.55 * columns + 0.085 * widest + 0.2, rows * (0.3 * len(labels) + 0.95) + 0.5)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06), facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, labels)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(panels), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, panel: Panel, labels: Sequence[str]) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

    for place, label in enumerate(labels):
        values, colour = list(panel.values[label]), COLOURS[place % len(COLOURS)]
        if not values:
            across = axes.get_yaxis_transform()
            looks: dict[str, Any] = {"color": "0.5", "fontsize": 8, "backgroundcolor": "white", "ha": "center"}
            axes.text(0.5, place, "no value", transform=across, va="center", **looks)
            continue
        offsets = [SPREAD * (i / (len(values) - 1) - 0.5) if len(values) > 1 else 0.0 for i in range(len(values))]
        axes.plot(
            values, [place + off for off in offsets], "o", color=colour, markersize=5, markeredgecolor="white", mew=0.5
        )
        mean = math.fsum(values) / len(values)
        axes.plot([mean, mean], [place - 0.33, place + 0.33], color=colour, linewidth=2.2, solid_capstyle="butt")
    if panel.real is not None:
        axes.axvline(panel.real, color="black", linestyle=(0, (4, 3)), linewidth=1.1, zorder=1)
    axes.set_yticks(range(len(labels)), labels, fontsize=10)
    axes.set_ylim(len(labels) - 0.45, -0.55)  # the first label on top
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_title(textwrap.fill(panel.title, TITLE_WIDTH), loc="left", fontsize=10)
    axes.set_xlabel(BETTER[panel.better], fontsize=8.5, color="0.35", labelpad=1)
    if _is_wide(panel):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.margins(x=0.08)
    axes.grid(axis="x", color="0.92", linewidth=0.8)
    axes.grid(axis="y", color="0.95", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _is_wide(panel: Panel) -> bool:
    values = [value for runs in panel.values.values() for value in runs]
    values += [] if panel.real is None else [panel.real]
    return bool(values) and min(values) > 0 and max(values) > WIDE_RANGE * min(values)


def _legend(panels: Sequence[Panel]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=GREY, marker="o", linestyle="none", markersize=5, label="a run"),
        Line2D(
            [], [], color=GREY, marker="|", linestyle="none", markersize=11, markeredgewidth=2.2, label="their mean"
        ),
    ]
    if any(panel.real is not None for panel in panels):
        handles.append(
            Line2D([], [], color="black", linestyle=(0, (4, 3)), linewidth=1.1, label="real test images in their place")
        )
    return handles
