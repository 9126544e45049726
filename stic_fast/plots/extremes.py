# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Panels of images side by side, a row for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots.tiles import hide_frame, show_tiles, tile_ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE = 0.5  # inches across an image


def extremes_figure(panels: Mapping[str, Sequence[Tensor]], class_names: Sequence[str]) -> Figure:
    """The panels side by side, each under its title.

    Args:
        panels: by title, for each class the images of its row, uint8 (N, C, H, W), as many as in all others.
        class_names: beside the rows.

    Raises:
        InputError: no panel, or rows that are not one for each class.

    >>> rows = [torch.zeros(3, 1, 8, 8, dtype=torch.uint8)] * 2
    >>> figure = extremes_figure({"likeliest": rows, "least likely": rows}, ["cat", "dog"])
    >>> [axes.get_title() for axes in figure.axes]
    ['likeliest', 'least likely']
    """
    from matplotlib.figure import Figure

    for title, rows in panels.items():
        if len(rows) != len(class_names):
            raise InputError(f"panel {title!r} has {len(rows)} rows for {len(class_names)} classes; give one for each")
    if not panels:
        raise InputError("there are no images to show; give at least one panel")
    first = next(iter(panels.values()))[0]
    columns, ratio = len(first), tile_ratio(first)
    size = (1.2 + len(panels) * (columns * TILE + 0.3), 0.5 + len(class_names) * TILE * ratio)
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    for axes, (title, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        axes.set(xlim=(0, columns), ylim=(len(class_names), 0), title=title, xticks=[], yticks=[])
        show_tiles(axes, torch.cat(list(rows)), columns=columns, left=0, right=columns, top=0, bottom=len(class_names))
        axes.set_aspect(ratio)
        axes.title.set_fontsize(11)
        hide_frame(axes)
    names = [place + 0.5 for place in range(len(class_names))]
    figure.axes[0].set_yticks(names, class_names, fontsize=10)
    return figure
