# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images and what chains draw that start around them, and how that changes with the radius (STIC, figure 3a)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, BLUE, GREEN, SKY, VERMILION
from stic_fast.plots.error_bars import WIDE, plot_points
from stic_fast.plots.tiles import hide_frame, show_tiles, tile_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, RIGHT, ABOVE, BETWEEN, BELOW = 1.0, 0.2, 0.7, 0.7, 0.6  # inches around and between the panels
CURVES_HEIGHT, LEAST_WIDTH, GAP = 2.8, 8.0, 1.0  # inches; the gap is between the two panels of curves
APART = 0.25  # of a tile, between one radius and the next
REFERENCES = (("--", BLACK), (":", BLUE), ("-.", GREEN))


class Anchor(NamedTuple):
    """A row of images."""

    label: str
    image: Tensor
    """uint8 (C, H, W)."""
    neighbours: Tensor
    """uint8 (radii + 1, shown, C, H, W): what was drawn from around it, and at last from fresh canvases."""


class Curve(NamedTuple):
    """A quantity over the radius."""

    points: Sequence[tuple[float, float]]
    """Mean and standard error at each radius."""
    references: Mapping[str, float]
    """The same quantity of other images, by their name."""
    start: Sequence[float] | None = None
    """Where the chains started; None for a quantity that is a share from 0 to 1, of which starts have none."""


def diversity_figure(radii: Sequence[float], anchors: Sequence[Anchor], distance: Curve, share: Curve) -> Figure:
    """A row of images for each anchor, by growing radius, and two panels of curves below.

    Raises:
        InputError: no anchors.

    >>> import torch
    >>> blank = torch.zeros(3, 2, 1, 8, 8, dtype=torch.uint8)
    >>> curve = Curve([(1.0, 0.1), (0.8, 0.1)], {"real images": 0.9})
    >>> figure = diversity_figure([0.0, 0.5], [Anchor("cat", blank[0, 0], blank)], curve, curve)
    >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
    ['anchor', '0', '0.5', 'fresh canvas']
    """
    from matplotlib.figure import Figure

    if not anchors:
        raise InputError("there is no drawn image to start around; ask for at least one")
    across, down = tile_size(anchors[0].image[None])
    shown = anchors[0].neighbours.shape[1]
    columns = 1 + (len(radii) + 1) * (shown + APART)
    tile = max(across, LEAST_WIDTH / columns)
    panel_width, tiles_height = tile * columns, len(anchors) * tile * down / across
    width = LEFT + panel_width + RIGHT
    height = ABOVE + tiles_height + BETWEEN + CURVES_HEIGHT + BELOW
    figure = Figure(figsize=(width, height), facecolor="white")
    tiles = figure.add_axes(
        (LEFT / width, 1 - (ABOVE + tiles_height) / height, panel_width / width, tiles_height / height)
    )
    _plot_anchors(tiles, radii, anchors, columns)
    half = (panel_width - GAP) / 2
    for number, (curve, label) in enumerate(
        ((distance, "distance from the anchor\n(Euclidean, pixels in [−1, 1])"), (share, "read as the anchor's class"))
    ):
        place = LEFT + number * (half + GAP), BELOW, half, CURVES_HEIGHT
        axes = figure.add_axes((place[0] / width, place[1] / height, place[2] / width, place[3] / height))
        _plot_curve(axes, radii, curve, label)
    return figure


def _plot_anchors(axes: Axes, radii: Sequence[float], anchors: Sequence[Anchor], columns: float) -> None:
    shown = anchors[0].neighbours.shape[1]
    axes.set_xlim(0, columns)
    axes.set_ylim(len(anchors), 0)
    images = torch.stack([anchor.image for anchor in anchors])
    show_tiles(axes, images, columns=1, left=0, right=1, top=0, bottom=len(anchors))
    centres = [0.5]
    for number in range(len(radii) + 1):
        left = 1 + APART + number * (shown + APART)
        images = torch.cat([anchor.neighbours[number] for anchor in anchors])
        show_tiles(axes, images, columns=shown, left=left, right=left + shown, top=0, bottom=len(anchors))
        centres.append(left + shown / 2)
    axes.set_xticks(centres, ["anchor", *(f"{radius:g}" for radius in radii), "fresh canvas"])
    axes.xaxis.tick_top()
    axes.set_yticks([row + 0.5 for row in range(len(anchors))], [anchor.label for anchor in anchors])
    axes.set_ylabel("class asked for")
    axes.set_title(
        "What chains draw from anchor + radius · noise, all with the anchor's condition: by radius",
        loc="left",
        fontsize=11,
        pad=10,
    )
    hide_frame(axes)


def _plot_curve(axes: Axes, radii: Sequence[float], curve: Curve, quantity: str) -> None:
    references = {name: value for name, value in curve.references.items() if math.isfinite(value)}
    most = math.inf
    if curve.start is None:
        ends = [value - (0.0 if math.isnan(error) else WIDE * error) for value, error in curve.points]
        axes.set_ylim(max(0, min([*ends, *references.values()]) - 0.02), 1.01)
        most = 1.0
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    else:
        axes.plot(
            radii, curve.start, color=SKY, marker="s", markersize=4, linewidth=1.2, label="where the chains start"
        )
    label = "what they draw (±2 standard errors)"
    plot_points(axes, radii, curve.points, colour=VERMILION, label=label, most=most)
    for (style, colour), (name, value) in zip(REFERENCES, references.items(), strict=False):
        axes.axhline(value, color=colour, linestyle=style, linewidth=1.3, label=name)
    axes.set_xlabel("radius: standard deviation of the added noise")
    axes.set_ylabel(quantity)
    axes.legend(frameon=False, fontsize=8, loc="best")
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
