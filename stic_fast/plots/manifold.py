# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Precision against recall and density against coverage, as the number of neighbours grows (STIC, figure 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Sweep = Sequence[Mapping[str, float]]  # one row per k: k, precision, recall, density, coverage
REAL = "real"  # the name of the line that the others are held against
LABELS = {"drawn": "drawn images", REAL: "real test images"}
AXES = {
    "precision": "precision\n(share of the set that lies among real images)",
    "recall": "recall\n(share of real images that lie among the set)",
    "density": "density\n(real neighbourhoods around an image of the set, over k)",
    "coverage": "coverage\n(share of real neighbourhoods that the set reaches)",
}
MARKERS = "osD^vPX"  # not as many as colours, so that a line has a look of its own up to the 42nd


def sweep_figure(sweeps: Mapping[str, Sweep], *, note: str = "") -> Figure:
    """Two panels, each with a line per set of images; its end at the smallest k is hollow.

    Args:
        sweeps: rows by name of the set, each row with k and the four scores; "real" is drawn black and dashed, beneath
            the others.
        note: how the sets were read, in front of what the legend says of k.

    Raises:
        InputError: no rows at all.

    >>> row = {"k": 1, "precision": 0.5, "recall": 0.2, "density": 0.9, "coverage": 0.3}
    >>> [axes.get_xlabel().split()[0] for axes in sweep_figure({"drawn": [row], "real": [row]}).axes]
    ['precision', 'density']
    """
    from matplotlib.figure import Figure

    drawn = {name: rows for name, rows in sweeps.items() if rows}
    if not drawn:
        raise InputError("there are no manifold scores to draw; evaluate at least two images")
    figure = Figure(figsize=(10.2, 4.8), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    _draw(left, drawn, "precision", "recall")
    _draw(right, drawn, "density", "coverage")
    ks = [row["k"] for rows in drawn.values() for row in rows]
    title = f"{note}; " * bool(note) + f"neighbours: from k = {min(ks):.0f} (hollow) to {max(ks):.0f} along each line"
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=min(3, len(drawn)),
        frameon=False,
        title=title,
        title_fontsize=9,
        fontsize=9,
    )
    return figure


def _draw(axes: Axes, sweeps: Mapping[str, Sweep], across: str, up: str) -> None:
    others = [name for name in sweeps if name != REAL]
    for name, rows in sweeps.items():
        x, y = [row[across] for row in rows], [row[up] for row in rows]
        look = _look(None if name == REAL else others.index(name))
        (line,) = axes.plot(x, y, markersize=5, linewidth=1.4, label=LABELS.get(name, name), **look)
        hollow = {"marker": look["marker"], "markersize": 5, "zorder": look["zorder"] + 1, "linestyle": "none"}
        axes.plot(x[:1], y[:1], markerfacecolor="white", markeredgecolor=line.get_color(), **hollow)
    axes.set_xlabel(AXES[across], fontsize=9.5)
    axes.set_ylabel(AXES[up], fontsize=9.5)
    _fit(axes)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _look(number: int | None) -> dict[str, Any]:
    if number is None:
        return {"color": BLACK, "marker": "p", "linestyle": "--", "zorder": 2}
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    return {"color": colour, "marker": marker, "linestyle": "-", "zorder": 3 + number}


def _fit(axes: Axes) -> None:
    """From a tenth below the lines to 1, or beyond where they go beyond."""
    for (low, high), limit in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
        limit(max(0.0, math.floor(10 * low) / 10) - 0.02, max(1.02, high))
