# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of several methods as dots, a panel per score: every run in sight, with its mean and what real images get."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from stic_fast.errors import InputError
from stic_fast.plots import looks
from stic_fast.plots.curves import WIDE_RANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#666666"
COLOURS = (looks.BLUE, looks.VERMILION, looks.GREEN, looks.ORANGE, looks.PURPLE, looks.SKY, GREY)
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


def save_comparison(shown: Sequence[Panel], path: str | PathLike[str]) -> None:
    """Write `comparison_figure` as a PNG at path, whole or not at all; errors as there and of `looks.save_figure`."""
    looks.save_figure(comparison_figure(shown), path, dpi=130)


def comparison_figure(shown: Sequence[Panel]) -> Figure:
    """Draw a small panel per score, a line per label: a dot per run, a bar at their mean, dashed what real images get.

    An axis is logarithmic where positive values differ by more than a factor of WIDE_RANGE.

    Raises:
        InputError: no panels, or panels of different labels.

    >>> figure = comparison_figure([Panel("FD", {"STIC": [1.2, 2.0], "JEM": []}, "lower", real=0.1)])
    >>> axes = figure.axes[0]
    >>> axes.get_title(loc="left"), [label.get_text() for label in axes.get_yticklabels()]
    ('FD', ['STIC', 'JEM'])
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not shown:
        raise InputError("there is no score to draw; name at least one")
    labels = list(shown[0].values)
    if not labels or any(list(panel.values) != labels for panel in shown):
        raise InputError("all panels must have the same labels, at least one; give an empty list where a value lacks")
    rows = -(-len(shown) // COLUMNS)
    columns = -(-len(shown) // rows)
    width = 2.55 * columns + 0.085 * max(len(label) for label in labels) + 0.2
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
    figure = looks.new_figure(width, rows * (0.3 * len(labels) + 0.95) + 0.5, layout=layout)
    for axes, panel in zip(looks.panels(figure, len(shown), columns=columns, sharey=True), shown, strict=True):
        _plot_dots(axes, panel)
    entries = [
        looks.mark("a run", color=GREY, marker="o", markersize=5),
        looks.mark("their mean", color=GREY, marker="|", markersize=11, markeredgewidth=2.2),
    ]
    if any(panel.real is not None for panel in shown):
        entries.append(looks.mark("real test images in their place", **looks.DASHED))
    looks.legend(figure, *entries, place="lower center")
    return figure


def _plot_dots(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator, NullFormatter

    looks.finish(axes, title=textwrap.fill(panel.title, TITLE_WIDTH), grid="both")
    for place, (values, colour) in enumerate(zip(panel.values.values(), itertools.cycle(COLOURS), strict=False)):
        if not values:
            look: dict[str, Any] = {"color": "0.5", "fontsize": 8, "backgroundcolor": "white"}
            axes.text(0.5, place, "no value", transform=axes.get_yaxis_transform(), ha="center", va="center", **look)
            continue
        middle = (len(values) - 1) / 2
        heights = [place + SPREAD * (i - middle) / (2 * middle or 1) for i in range(len(values))]
        axes.plot(values, heights, "o", color=colour, markersize=5, markeredgecolor="white", mew=0.5)
        mean = math.fsum(values) / len(values)
        axes.plot([mean, mean], [place - 0.33, place + 0.33], color=colour, linewidth=2.2, solid_capstyle="butt")
    if panel.real is not None:
        axes.axvline(panel.real, **looks.DASHED, zorder=1)
    axes.set_yticks(range(len(panel.values)), list(panel.values), fontsize=10)
    axes.set_ylim(len(panel.values) - 0.45, -0.55)  # the first label on top
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_xlabel(BETTER[panel.better], fontsize=8.5, color="0.35", labelpad=1)
    known = [value for runs in panel.values.values() for value in runs] + ([] if panel.real is None else [panel.real])
    if known and min(known) > 0 and max(known) > WIDE_RANGE * min(known):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.margins(x=0.08)
    axes.spines["left"].set_visible(False)
