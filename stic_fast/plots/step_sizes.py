# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores over a grid of the chain's two step sizes, as heat maps with the numbers in their cells (STIC, figure 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stic_fast.errors import InputError
from stic_fast.plots.curves import VERMILION, WIDE_RANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = (0.82, 0.62)  # inches, wide and high
EMPTY = "0.93"
PALEST_DARK = 0.45  # brightness of a cell up to which its number is white


@dataclass(frozen=True)
class Surface:
    """One score over the grid."""

    name: str
    better: Literal["higher", "lower"]
    values: Sequence[Sequence[float | None]]
    """A row for each ε2, in it a number for each ε1; None where the chain diverged."""
    real: float | None = None
    """The score of real images, which nothing need surpass."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and the numbers in the shortest and the longest of them; they must be one."""
        lengths = {len(row) for row in self.values}
        return len(self.values), lengths.pop() if len(lengths) == 1 else -1

    def best(self) -> tuple[int, int] | None:
        """Row and column of the best cell; None where all have diverged.

        >>> Surface("FD", "lower", [[3.0, None], [2.0, 9.0]]).best()
        (1, 0)
        """
        sign = 1 if self.better == "higher" else -1
        cells = [
            (sign * value, -row, -column)
            for row, values in enumerate(self.values)
            for column, value in enumerate(values)
            if value is not None
        ]
        return (-max(cells)[1], -max(cells)[2]) if cells else None


def step_size_figure(
    surfaces: Sequence[Surface], *, eps1: Sequence[float], eps2: Sequence[float], own: tuple[float, float]
) -> Figure:
    """A heat map for each score: ε1 to the right, ε2 upwards, brighter is better.

    Args:
        surfaces: scores with len(eps2) rows of len(eps1) numbers.
        eps1, eps2: the step sizes, rising.
        own: (ε1, ε2) that the run is configured for; its cell is framed where the grid has it.

    Raises:
        InputError: no scores, or some of another size.

    >>> figure = step_size_figure([Surface("FD", "lower", [[3.0, None]])], eps1=[0.5, 1.0], eps2=[0.9], own=(0.5, 0.9))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['3.00', 'diverged']
    """
    from matplotlib.figure import Figure

    shape = (len(eps2), len(eps1))
    if not surfaces or any(surface.shape != shape for surface in surfaces):
        raise InputError(f"surfaces must have {shape[0]} rows of {shape[1]} numbers; give one for each pair of steps")
    width = (max(CELL[0] * shape[1], 2.6) + 1.7) * len(surfaces)
    figure = Figure(figsize=(width, CELL[1] * shape[0] + 2.0), layout="constrained", facecolor="white")
    for axes, surface in zip(figure.subplots(1, len(surfaces), squeeze=False)[0], surfaces, strict=True):
        _draw(figure, axes, surface)
        axes.set_xticks(range(shape[1]), [f"{size:.3g}" for size in eps1])
        axes.set_yticks(range(shape[0]), [f"{size:.3g}" for size in eps2])
        axes.set_xlabel("ε1, step uphill along ∇log p")
        axes.set_ylabel("ε2, step downhill\nagainst the Gram loss")
        _mark(axes, surface, _place(own, eps1, eps2))
    _explain(figure)
    return figure


def _draw(figure: Figure, axes: Axes, surface: Surface) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    values: NDArray[np.float64] = np.array(surface.values, dtype=np.float64)  # None becomes NaN
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    wide = low > 0 and high > WIDE_RANGE / 5 * low
    norm = (LogNorm if wide else Normalize)(low, high if high > low else low + 1)
    colours = colormaps["cividis" if surface.better == "higher" else "cividis_r"].with_extremes(bad=EMPTY)
    image = axes.imshow(values, cmap=colours, norm=norm, origin="lower", aspect="auto")
    decimals = _decimals(known)
    for (row, column), value in np.ndenumerate(values):
        found = bool(np.isfinite(value))
        dark = found and _brightness(colours(norm(value))) < PALEST_DARK
        axes.text(
            column,
            row,
            f"{value:.{decimals}f}" if found else "diverged",
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=10 if found else 8,
        )
    if len(known):
        bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
        bar.ax.tick_params(labelsize=8)
    floor = "" if surface.real is None else f"\nreal test images: {surface.real:.{decimals}f}"
    axes.set_title(f"{surface.name}, {surface.better} is better{floor}", loc="left", fontsize=11)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _mark(axes: Axes, surface: Surface, own: tuple[int, int] | None) -> None:
    """A frame around the run's own cell, and a star in the best."""
    from matplotlib.patches import Rectangle

    if own is not None:
        corner = (own[1] - 0.5, own[0] - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILION, linewidth=3, zorder=4, clip_on=False))
    best = surface.best()
    if best is not None:
        place = (best[1] + 0.33, best[0] + 0.28)
        style: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "black", "markeredgewidth": 0.9}
        axes.plot(*place, marker="*", markersize=12, linestyle="none", zorder=5, **style)


def _explain(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    star = Line2D([], [], marker="*", markersize=12, linestyle="none", markerfacecolor="white", markeredgecolor="black")
    frame = Patch(fill=False, edgecolor=VERMILION, linewidth=2.5)
    names = ["the run's own setting", "best cell"]
    figure.legend([frame, star], names, loc="outside upper left", ncols=2, frameon=False, fontsize=10)


def _place(own: tuple[float, float], eps1: Sequence[float], eps2: Sequence[float]) -> tuple[int, int] | None:
    """Row and column of the run's own setting."""
    return (list(eps2).index(own[1]), list(eps1).index(own[0])) if own[0] in eps1 and own[1] in eps2 else None


def _decimals(values: NDArray[np.float64]) -> int:
    """As many as show three digits of the largest number.

    >>> _decimals(np.array([0.5, 8.97])), _decimals(np.array([3.0, 12.0])), _decimals(np.array([250.0]))
    (2, 1, 0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    return 2 if largest < 10 else 1 if largest < 100 else 0


def _brightness(colour: Sequence[float]) -> float:
    """Of an RGB colour, 0 .. 1, as the eye weighs it (ITU-R BT.709)."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
