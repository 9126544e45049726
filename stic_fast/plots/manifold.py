# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Precision against recall and density against coverage, as the number of neighbours grows (STIC, figure 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Sweep = Sequence[Mapping[str, float]]  # one row per k: k, precision, recall, density, coverage
LOOKS = {"drawn": (VERMILION, "o", "drawn images"), "real": (BLUE, "s", "real test images")}


def sweep_figure(sweeps: Mapping[str, Sweep]) -> Figure:
    """Two panels, each with a line per set of images; the smallest and largest k are written at its ends.

    Args:
        sweeps: rows by "drawn" and "real", each row with k and the four scores.

    Raises:
        InputError: no rows at all.

    >>> row = {"k": 1, "precision": 0.5, "recall": 0.2, "density": 0.9, "coverage": 0.3}
    >>> [axes.get_xlabel() for axes in sweep_figure({"drawn": [row]}).axes]
    ['precision', 'density']
    """
    from matplotlib.figure import Figure

    drawn = {name: rows for name, rows in sweeps.items() if rows}
    if not drawn:
        raise InputError("there are no manifold scores to draw; evaluate at least two images")
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, drawn, "precision", "recall")
    _draw(right, drawn, "density", "coverage")
    left.legend(frameon=False, loc="best")
    return figure


def _draw(axes: Axes, sweeps: Mapping[str, Sweep], across: str, up: str) -> None:
    for name, rows in sweeps.items():
        colour, marker, label = LOOKS[name]
        x, y = [row[across] for row in rows], [row[up] for row in rows]
        axes.plot(x, y, color=colour, marker=marker, markersize=4, linewidth=1.3, label=label)
        for place in sorted({0, len(rows) - 1}):
            text = f"k={rows[place]['k']:.0f}"
            axes.annotate(
                text, (x[place], y[place]), xytext=(5, 5), textcoords="offset points", color=colour, fontsize=8
            )
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(0, max(1.05, axes.get_xlim()[1]))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
