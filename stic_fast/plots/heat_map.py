# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The third figure primitive: a score over a grid, brighter where it is better, with the number in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stic_fast.plots.looks import VERMILION, hide_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EMPTY = "0.93"
PALEST_DARK = 0.45  # brightness of a cell up to which its number is white
WIDE_RANGE = 10.0  # the largest value over the smallest from which the scale is logarithmic


@dataclass(frozen=True)
class HeatMap:
    """One score over a grid."""

    name: str
    better: Literal["higher", "lower"]
    values: Sequence[Sequence[float | None]]
    """A row for each step upwards, in it a number for each step to the right; None where chains diverged."""
    real: float | None = None
    """The score of real images, which nothing need surpass."""

    def best(self) -> tuple[int, int] | None:
        """Row and column of the best cell; None where all have diverged.

        >>> HeatMap("FD", "lower", [[3.0, None], [2.0, 9.0]]).best()
        (1, 0)
        """
        values: NDArray[np.float64] = np.array(self.values, dtype=np.float64)  # None becomes NaN
        if np.isnan(values).all():
            return None
        best = np.nanargmax(values) if self.better == "higher" else np.nanargmin(values)
        row, column = divmod(int(best), values.shape[1])
        return row, column


def plot_heat_map(axes: Axes, shown: HeatMap, *, own: tuple[int, int] | None) -> None:
    """Cells with their numbers, a colour bar, a star in the best cell and a frame around the run's own, if it is there.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> plot_heat_map(axes, HeatMap("FD", "lower", [[3.0, None]]), own=(0, 0))
    >>> [text.get_text() for text in axes.texts]
    ['3.00', 'diverged']
    """
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.patches import Rectangle

    values: NDArray[np.float64] = np.array(shown.values, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    wide = low > 0 and high > WIDE_RANGE * low
    norm = (LogNorm if wide else Normalize)(low, high if high > low else low + 1)
    colours = colormaps["cividis" if shown.better == "higher" else "cividis_r"].with_extremes(bad=EMPTY)
    image = axes.imshow(values, cmap=colours, norm=norm, origin="lower", aspect="auto")
    largest = float(np.abs(known).max(initial=0.0))
    decimals = 2 if largest < 10 else 1 if largest < 100 else 0  # three digits of the largest number
    for (row, column), value in np.ndenumerate(values):
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
        text = "diverged"
        if np.isfinite(value):
            text = f"{value:.{decimals}f}"
            dark = np.dot(colours(norm(value))[:3], (0.2126, 0.7152, 0.0722)) < PALEST_DARK  # as the eye weighs, BT.709
            style |= {"color": "white" if dark else "black", "fontsize": 10}
        axes.text(column, row, text, **style)
    figure = axes.figure
    if len(known):
        figure.colorbar(image, ax=axes, pad=0.02, aspect=30).ax.tick_params(labelsize=8)
    floor = "" if shown.real is None else f"\nreal test images: {shown.real:.{decimals}f}"
    axes.set_title(f"{shown.name}, {shown.better} is better{floor}", loc="left", fontsize=11)
    hide_frame(axes)
    if own is not None:
        look: dict[str, Any] = {"fill": False, "edgecolor": VERMILION, "linewidth": 3, "zorder": 4, "clip_on": False}
        axes.add_patch(Rectangle((own[1] - 0.5, own[0] - 0.5), 1, 1, label="the run's own setting", **look))
    best = shown.best()
    if best is not None:
        look = {"marker": "*", "markersize": 12, "markerfacecolor": "white", "markeredgecolor": "black", "zorder": 5}
        axes.plot(best[1] + 0.33, best[0] + 0.28, linestyle="none", label="best cell", **look)
