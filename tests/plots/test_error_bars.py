# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Points with bars of two standard errors."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stic_fast.plots.error_bars import plot_points


def bars_of(axes: Axes) -> list[list[float]]:
    return [segment[:, 1].tolist() for segment in axes.containers[0].lines[2][0].get_segments()]


def test_a_bar_is_two_errors_either_way_within_what_can_be() -> None:
    axes = Figure().subplots()
    plot_points(axes, [1, 2, 3], [(0.5, 0.1), (0.95, 0.1), (0.1, 0.1)], colour="black", label="a", most=1)
    np.testing.assert_allclose(bars_of(axes), [[0.3, 0.7], [0.75, 1.0], [0.0, 0.3]], atol=1e-12)
    assert axes.get_legend_handles_labels()[1] == ["a"]


def test_an_unknown_error_has_no_bar() -> None:
    axes = Figure().subplots()
    plot_points(axes, [1], [(5.0, math.nan)], colour="black", label="a")
    assert bars_of(axes) == [[5.0, 5.0]]


def test_rounding_beyond_what_can_be_is_borne() -> None:
    axes = Figure().subplots()
    plot_points(axes, [1, 2], [(1.0 + 1e-7, 0.1), (-1e-9, 0.1)], colour="black", label="a", most=1)
    np.testing.assert_allclose(bars_of(axes), [[0.8, 1.0], [0.0, 0.2]], atol=1e-6)
