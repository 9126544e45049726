# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores over the passes of a run, a panel each, beside those of real images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, BLUE, VERMILION
from stic_fast.plots.error_bars import plot_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2
WIDE_RANGE = 20.0  # the largest value over the smallest from which an axis is logarithmic


class Panel(NamedTuple):
    """A score."""

    name: str
    reading: str
    """How to read it, in a few words."""
    values: Sequence[tuple[float, float]]
    """Value and standard error after each pass."""
    real: float | None
    """Of real images; None where there is no such thing."""
    share: bool
    """Whether it is a share from 0 to 1, shown in per cent."""


def passes_figure(passes: Sequence[int], panels: Sequence[Panel]) -> Figure:
    """A panel per score: its value after each pass with two standard errors either way, and a line for real images.

    Raises:
        InputError: nothing to draw.

    >>> panel = Panel("FD-cnn@100", "lower is better", [(4.0, 0.2), (2.0, 0.2)], 0.5, False)
    >>> [axes.get_title(loc="left") for axes in passes_figure([1, 2], [panel]).axes]
    ['FD-cnn@100\\nlower is better']
    """
    from matplotlib.figure import Figure

    if not passes or not panels:
        raise InputError("there is no pass to draw; train the run first")
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(9.6, 0.5 + 3.1 * rows), layout="constrained", facecolor="white")
    all_axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes, panel in zip(all_axes, panels, strict=False):
        _draw(axes, passes, panel)
    for axes in all_axes[len(panels) :]:
        axes.remove()
    named = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in figure.axes]
    handles = {label: handle for pairs in named for handle, label in pairs}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, passes: Sequence[int], panel: Panel) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    values = [value for value, _ in panel.values]
    colour = VERMILION if panel.real is not None else BLUE
    label = "drawn images (bars: ±2 standard errors)" if panel.real is not None else "the classifier itself"
    plot_points(axes, passes, panel.values, colour=colour, label=label, most=1.0 if panel.share else math.inf)
    if panel.real is not None:
        axes.axhline(panel.real, color=BLACK, linestyle="--", linewidth=1.3, label="as many real images")
    if panel.share:
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    elif min(values) > 0 and max(values) > WIDE_RANGE * min(*values, panel.real or max(values)):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title(f"{panel.name}\n{panel.reading}", loc="left", fontsize=10)
    axes.set_xlabel("passes of training")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
