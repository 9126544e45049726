# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Grids of small images inside a figure, at a place given in its axes' own units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from stic_fast.plots.grid import image_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NARROWEST, WIDEST = 0.72, 1.4  # inches
PIXELS_PER_INCH = 90  # of a drawn image, where it is neither the narrowest nor the widest


def show_tiles(
    axes: Axes, images: Tensor, *, columns: int, left: float, right: float, top: float, bottom: float
) -> None:
    """Puts images, uint8 (N, C, H, W), row by row into a rectangle of the axes, which keep their limits.

    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> show_tiles(axes, torch.zeros(2, 1, 8, 8, dtype=torch.uint8), columns=2, left=0, right=0.5, top=1, bottom=0)
    >>> axes.images[0].get_extent()
    [0, 0.5, 0, 1]
    """
    limits = axes.get_xlim(), axes.get_ylim()
    picture = np.asarray(image_grid(images, columns=columns))
    axes.imshow(picture, extent=(left, right, bottom, top), aspect="auto", interpolation="antialiased")
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def tile_ratio(images: Tensor) -> float:
    """Height over width of an image, (N, C, H, W).

    >>> import torch
    >>> tile_ratio(torch.zeros(5, 1, 8, 4))
    2.0
    """
    return images.shape[2] / images.shape[3]


def tile_size(images: Tensor) -> tuple[float, float]:
    """Width and height in inches at which an image of (N, C, H, W) can be seen, and a figure of ten fits a page.

    >>> import torch
    >>> tile_size(torch.zeros(5, 1, 8, 8)), tile_size(torch.zeros(5, 3, 180, 90))
    ((0.72, 0.72), (1.0, 2.0))
    """
    across = min(WIDEST, max(NARROWEST, images.shape[3] / PIXELS_PER_INCH))
    return across, across * tile_ratio(images)


def hide_frame(axes: Axes) -> None:
    """Leaves nothing of the axes but labels: no lines around them, no tick marks."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
