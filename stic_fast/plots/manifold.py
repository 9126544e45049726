# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Precision against recall and density against coverage, as the number of neighbours grows (STIC, figure 5)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stic_fast.errors import InputError
from stic_fast.plots.looks import BLACK, COLOURS, finish, legend, new_figure, panels

if TYPE_CHECKING:
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
    drawn = {name: rows for name, rows in sweeps.items() if rows}
    if not drawn:
        raise InputError("there are no manifold scores to draw; evaluate at least two images")
    figure = new_figure(10.2, 4.8)
    pairs = (("precision", "recall"), ("density", "coverage"))
    for axes, (across, up) in zip(panels(figure, 2, columns=2), pairs, strict=True):
        looks = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False)
        for order, (name, rows) in enumerate(drawn.items(), 3):
            colour, marker, style, level = (BLACK, "p", "--", 2) if name == REAL else (*next(looks), "-", order)
            look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
            x, y = [row[across] for row in rows], [row[up] for row in rows]
            axes.plot(x, y, **look, linestyle=style, linewidth=1.4, label=LABELS.get(name, name), zorder=level)
            axes.plot(x[:1], y[:1], **look, linestyle="none", markerfacecolor="white", zorder=level + 1)
        finish(axes, x=AXES[across], y=AXES[up], grid="both")
        for (low, high), limit in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
            limit(max(0.0, math.floor(10 * low) / 10) - 0.02, max(1.02, high))  # to 1, or beyond with the lines
    ks = [row["k"] for rows in drawn.values() for row in rows]
    told = f"neighbours: from k = {min(ks):.0f} (hollow) to {max(ks):.0f} along each line"
    legend(figure, title=f"{note}; {told}" if note else told)
    return figure
