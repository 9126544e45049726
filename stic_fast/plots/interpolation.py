# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Paths between two classes as strips, and below each frame what a judge says of it (STIC, figure 4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, BLUE, GREEN, VERMILION
from stic_fast.plots.error_bars import plot_points
from stic_fast.plots.tiles import hide_frame, show_tiles, tile_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, RIGHT, ABOVE, BELOW = 1.15, 0.2, 0.75, 0.6  # inches around the panels
STRIPS_APART, BETWEEN = 0.28, 0.5  # inches between strips, and between panels
CURVE_HEIGHT = 1.5  # inches
MOST_LABELS = 11  # along an axis
LOOKS = (VERMILION, BLUE, GREEN)
Points = Sequence[tuple[float, float]]


class Strips(NamedTuple):
    """One way of drawing the paths."""

    name: str
    images: Tensor
    """uint8 (paths·frames, C, H, W), path by path, those that are shown."""
    either: Points
    """p(A) + p(B) of each frame: mean over all paths and standard error."""
    second: Points
    """p(B) / (p(A) + p(B)) of each frame."""
    step: Points
    """Distance from each frame to the next, one fewer."""


def interpolation_figure(
    shares: Sequence[float], classes: tuple[str, str], strips: Sequence[Strips], *, real: float | None
) -> Figure:
    """Strips of images with a column per share of the second class, and three panels of curves in line with them.

    Args:
        shares: of the second class, from 0 to 1.
        classes: names of the first, A, and the second, B.
        real: p(A) + p(B) of real images of the two; None where there are none.

    Raises:
        InputError: nothing to draw, or fewer than two frames.

    >>> import torch
    >>> frames, point = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), (0.5, 0.1)
    >>> strips = Strips("a run", frames, [point] * 2, [point] * 2, [point])
    >>> figure = interpolation_figure([0, 1], ("cat", "dog"), [strips], real=0.99)
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['0 %', '100 %']
    """
    from matplotlib.figure import Figure

    if not strips or len(shares) < 2:
        raise InputError("a path needs at least two frames, and a picture at least one set of paths")
    across, down = tile_size(strips[0].images)
    heights = [len(each.images) // len(shares) * down for each in strips]
    panel = len(shares) * across
    width = LEFT + panel + RIGHT
    height = ABOVE + sum(heights) + STRIPS_APART * (len(strips) - 1) + 3 * (BETWEEN + CURVE_HEIGHT) + BELOW
    figure = Figure(figsize=(width, height), facecolor="white")
    top = height - ABOVE

    def place(tall: float, gap: float) -> Axes:
        nonlocal top
        axes = figure.add_axes((LEFT / width, (top - tall) / height, panel / width, tall / height))
        axes.set_xlim(-0.5 / (len(shares) - 1), 1 + 0.5 / (len(shares) - 1))
        top -= tall + gap
        return axes

    for number, (each, tall) in enumerate(zip(strips, heights, strict=True)):
        axes = place(tall, STRIPS_APART if number < len(strips) - 1 else BETWEEN)
        _plot_strips(axes, shares, each, LOOKS[number], labelled=number == 0)
    title = f"from A = {classes[0]} to B = {classes[1]}, by the share of B"
    figure.axes[0].set_title(title, loc="left", fontsize=11, pad=9)
    between = [(before + after) / 2 for before, after in itertools.pairwise(shares)]
    panels: tuple[tuple[str, Sequence[float], Callable[[Strips], Points], float], ...] = (
        ("judge:\np(A) + p(B)", shares, lambda each: each.either, 1.0),
        ("of the two,\np(B)", shares, lambda each: each.second, 1.0),
        ("step to the next\n(Euclidean, pixels\nin [−1, 1])", between, lambda each: each.step, math.inf),
    )
    for number, (quantity, places, points, most) in enumerate(panels):
        axes = place(CURVE_HEIGHT, BETWEEN)
        for colour, each in zip(LOOKS, strips, strict=False):
            plot_points(axes, places, points(each), colour=colour, label=each.name, most=most)
        if number == 0 and real is not None:
            axes.axhline(real, color=BLACK, linestyle="--", linewidth=1.3, label="real images of both classes")
        axes.set_xticks(shares, _tick_labels(shares))
        _finish(axes, quantity)
        if number == len(panels) - 1:
            axes.set_xlabel("share of B that is asked for (bars: ±2 standard errors)")
    figure.axes[len(strips)].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8)
    return figure


def _plot_strips(axes: Axes, shares: Sequence[float], strips: Strips, colour: str, *, labelled: bool) -> None:
    rows, half = len(strips.images) // len(shares), 0.5 / (len(shares) - 1)
    axes.set_ylim(rows, 0)
    show_tiles(axes, strips.images, columns=len(shares), left=-half, right=1 + half, top=0, bottom=rows)
    axes.set_xticks(shares, _tick_labels(shares) if labelled else [])
    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.set_ylabel(strips.name, color=colour, fontsize=10)
    hide_frame(axes)


def _finish(axes: Axes, quantity: str) -> None:
    axes.set_ylabel(quantity)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _tick_labels(shares: Sequence[float]) -> list[str]:
    """In per cent; where frames are many, only some have one.

    >>> _tick_labels([0, 0.5, 1])
    ['0 %', '50 %', '100 %']
    """
    every = -(-(len(shares) - 1) // MOST_LABELS) or 1
    return [f"{100 * share:.3g} %" if number % every == 0 else "" for number, share in enumerate(shares)]
