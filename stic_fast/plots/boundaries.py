# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Classes as clouds of points, and drawn images as stars among them (STIC, figure 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stic_fast.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's "muted" scheme (personal.sron.nl/~pault) with an orange for its pale grey: nine of the ten are told apart
# with every common colour blindness, and each class has its name beside it.
COLOURS = (
    "#332288",
    "#CC6677",
    "#88CCEE",
    "#117733",
    "#DDCC77",
    "#AA4499",
    "#44AA99",
    "#882255",
    "#999933",
    "#EE7733",
)
MOST_CLASSES = len(COLOURS)
PANEL = 5.4  # inches a side


@dataclass(frozen=True)
class Cloud:
    """Real and drawn images as points of a plane."""

    title: str
    real: NDArray[np.float64]
    """(N, 2)."""
    real_classes: NDArray[np.int64]
    """(N,), from 0."""
    drawn: NDArray[np.float64]
    """(M, 2)."""
    drawn_classes: NDArray[np.int64]
    """(M,), the classes asked for."""
    caption: str = ""
    """A line or more below the panel."""


def boundary_figure(clouds: Sequence[Cloud], class_names: Sequence[str]) -> Figure:
    """A panel for each cloud: real images as dots in the colour of their class, drawn ones as stars with a dark edge.

    A class's name stands above its images, so that nobody depends on the colours.

    Args:
        clouds: what was found with each classifier.
        class_names: a name for each class, at most `MOST_CLASSES`.

    Raises:
        InputError: no cloud, or more classes than colours.

    >>> points, classes = np.zeros((2, 2)), np.array([0, 1])
    >>> figure = boundary_figure([Cloud("run", points, classes, points, classes)], ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['cat', 'dog']
    """
    from matplotlib.figure import Figure

    if not clouds or not 1 <= len(class_names) <= MOST_CLASSES:
        raise InputError(
            f"a picture of boundaries needs a classifier and 1 to {MOST_CLASSES} classes, got {len(clouds)} and "
            f"{len(class_names)}; show fewer classes"
        )
    figure = Figure(figsize=(PANEL * len(clouds), PANEL + 0.9), layout="constrained", facecolor="white")
    for axes, cloud in zip(figure.subplots(1, len(clouds), squeeze=False)[0], clouds, strict=True):
        _draw(axes, cloud, class_names)
    _explain(figure, class_names)
    return figure


def _draw(axes: Axes, cloud: Cloud, class_names: Sequence[str]) -> None:
    colours = np.array(COLOURS)
    axes.scatter(
        cloud.real[:, 0], cloud.real[:, 1], s=16, c=colours[cloud.real_classes], linewidths=0, alpha=0.75, zorder=2
    )
    own = colours[cloud.drawn_classes]
    axes.scatter(
        cloud.drawn[:, 0], cloud.drawn[:, 1], s=75, marker="*", c=own, linewidths=0.8, edgecolors="black", zorder=3
    )
    for number, name in enumerate(class_names):
        shown = (cloud.real[cloud.real_classes == number], cloud.drawn[cloud.drawn_classes == number])
        _name(axes, np.concatenate(shown), name)
    axes.set(xticks=[], yticks=[])
    axes.set_title(cloud.title, loc="left", fontsize=12)
    axes.set_xlabel(cloud.caption, fontsize=9.5, loc="left")
    axes.spines[:].set_color("0.8")
    axes.margins(x=0.04, y=0.06)


def _name(axes: Axes, points: NDArray[np.float64], name: str) -> None:
    """The name above the nine tenths of the points that are nearest to their median."""
    from matplotlib.patheffects import withStroke

    if not len(points):
        return
    middle = np.median(points, axis=0)
    gaps = np.linalg.norm(points - middle, axis=1)
    top = points[gaps <= np.quantile(gaps, 0.9), 1].max()
    text = axes.annotate(name, (middle[0], top), xytext=(0, 7), textcoords="offset points", ha="center", zorder=4)
    text.set(fontsize=12, fontweight="bold", path_effects=[withStroke(linewidth=3, foreground="white")])


def _explain(figure: Figure, class_names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    dot = Line2D([], [], marker="o", markersize=5, linestyle="none", color="0.5")
    star = Line2D([], [], marker="*", markersize=12, linestyle="none", markerfacecolor="0.75", markeredgecolor="black")
    labels = ["real test image", "drawn image, in the colour of the class asked for"]
    figure.legend([dot, star], labels, loc="outside upper left", ncols=2, frameon=False, fontsize=10)
