# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Bars of two standard errors about measured points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 2.0  # standard errors either way: about 95 of 100 such bars hold the true value


def plot_points(
    axes: Axes,
    places: Sequence[float],
    points: Sequence[tuple[float, float]],
    *,
    colour: str,
    label: str,
    most: float = math.inf,
) -> None:
    """A line through points, each with a bar of two standard errors; no bar goes below 0 or beyond `most`.

    Args:
        points: value and standard error, the latter NaN where it is unknown, at each place.
        most: the largest value there can be, such as 1 for a share.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> plot_points(axes, [1, 2], [(0.9, 0.1), (1.0, 0.1)], colour="red", label="share", most=1)
    >>> [round(y, 2) for y in axes.containers[0].lines[2][0].get_segments()[0][:, 1].tolist()]
    [0.7, 1.0]
    """
    bars = [0.0 if math.isnan(error) else WIDE * error for _, error in points]
    down = [max(0.0, min(bar, value)) for (value, _), bar in zip(points, bars, strict=True)]
    up = [max(0.0, min(bar, most - value)) for (value, _), bar in zip(points, bars, strict=True)]
    look: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 5, "linewidth": 1.5, "capsize": 3}
    axes.errorbar(places, [value for value, _ in points], yerr=[down, up], label=label, **look)
