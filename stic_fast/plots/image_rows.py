# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The second figure primitive: blocks of small images at places of an axes' units, with labels by row and column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from stic_fast.plots.grid import image_grid
from stic_fast.plots.looks import as_written, hide_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NARROWEST, WIDEST = 0.72, 1.4  # inches
PIXELS_PER_INCH = 90  # of a drawn image, where it is neither the narrowest nor the widest
Labels = Sequence[tuple[float, str]]
"""Texts and where they stand."""


class Block(NamedTuple):
    """Images row by row in a rectangle."""

    images: Tensor | None
    """uint8 (N, C, H, W); None for chains that diverged, which the picture says in their place."""
    columns: int
    left: float
    right: float
    top: float
    bottom: float


def plot_image_rows(
    axes: Axes, blocks: Sequence[Block], *, rows: Labels = (), columns: Labels = (), title: str = ""
) -> None:
    """Shows blocks; what lies between the outermost edges fills the axes, the smallest height on top.

    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> axes, images = Figure().subplots(), torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    >>> plot_image_rows(axes, [Block(images, 2, left=0, right=2, top=0, bottom=1)], rows=[(0.5, "cat")])
    >>> axes.images[0].get_extent(), axes.get_yticklabels()[0].get_text()
    ([0, 2, 1, 0], 'cat')
    """
    for images, across, left, right, top, bottom in blocks:
        if images is None:
            middle = (left + right) / 2, (top + bottom) / 2
            axes.text(*middle, "diverged", ha="center", va="center", color="0.4", fontsize=11)
            continue
        picture = np.asarray(image_grid(images, columns=across))
        axes.imshow(picture, extent=(left, right, bottom, top), aspect="auto", interpolation="antialiased")
    axes.set_xlim(min(block.left for block in blocks), max(block.right for block in blocks))
    axes.set_ylim(max(block.bottom for block in blocks), min(block.top for block in blocks))
    axes.set_xticks([place for place, _ in columns], [text for _, text in columns])
    axes.xaxis.tick_top()
    axes.set_yticks([place for place, _ in rows], [text for _, text in rows])
    axes.set_title(title, loc="left", fontsize=11, pad=10)
    hide_frame(axes)
    as_written(axes)


def row_labels(names: Sequence[str]) -> Labels:
    """Beside rows of height 1.

    >>> row_labels(["cat", "dog"])
    [(0.5, 'cat'), (1.5, 'dog')]
    """
    return [(place + 0.5, name) for place, name in enumerate(names)]


def tile_size(images: Tensor) -> tuple[float, float]:
    """Width and height in inches at which an image of (N, C, H, W) can be seen, and a figure of ten fits a page.

    >>> import torch
    >>> tile_size(torch.zeros(5, 1, 8, 8)), tile_size(torch.zeros(5, 3, 180, 90))
    ((0.72, 0.72), (1.0, 2.0))
    """
    across = min(WIDEST, max(NARROWEST, images.shape[3] / PIXELS_PER_INCH))
    return across, across * images.shape[2] / images.shape[3]
