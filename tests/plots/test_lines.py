# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Panels of lines through points with bars of two standard errors."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stic_fast.errors import InputError
from stic_fast.plots.lines import Line, LinePanel, lines_figure, plot_points


def bars_of(axes: Axes) -> list[list[float]]:
    return [segment[:, 1].tolist() for segment in axes.containers[0].lines[2][0].get_segments()]


def test_a_bar_is_two_errors_either_way_within_what_can_be() -> None:
    axes = Figure().subplots()
    plot_points(axes, Line("a", [1, 2, 3], [(0.5, 0.1), (0.95, 0.1), (0.1, 0.1)], "black"), most=1)
    np.testing.assert_allclose(bars_of(axes), [[0.3, 0.7], [0.75, 1.0], [0.0, 0.3]], atol=1e-12)
    assert axes.get_legend_handles_labels()[1] == ["a"]


def test_an_unknown_error_has_no_bar() -> None:
    axes = Figure().subplots()
    plot_points(axes, Line("a", [1], [(5.0, math.nan)], "black"))
    assert axes.lines[0].get_ydata().tolist() == [5.0] and not axes.containers


def test_rounding_beyond_what_can_be_is_borne() -> None:
    axes = Figure().subplots()
    plot_points(axes, Line("a", [1, 2], [(1.0 + 1e-7, 0.1), (-1e-9, 0.1)], "black"), most=1)
    np.testing.assert_allclose(bars_of(axes), [[0.8, 1.0], [0.0, 0.2]], atol=1e-6)


DISTANCE = LinePanel(
    [Line("drawn images", [1, 2, 5], [(40.0, 2.0), (4.0, 0.5), (1.0, 0.2)], "red")],
    title="FD-cnn@300",
    levels={"real images": 0.2, "unknown": math.nan},
    scale="log if wide",
)
ACCURACY = LinePanel([Line("the classifier", [1, 2, 5], [(0.9, 0.01), (0.99, 0.01), (1.0, 0.001)], "blue")], share=True)


def test_values_bars_and_levels_are_drawn() -> None:
    figure = lines_figure([DISTANCE, ACCURACY])
    left, right = figure.axes
    line = left.containers[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2, 5] and line.get_ydata().tolist() == [40.0, 4.0, 1.0]
    bars = [segment[:, 1].tolist() for segment in left.containers[0].lines[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[36, 44], [3, 5], [0.6, 1.4]])
    assert [line.get_ydata() for line in left.lines if line.get_linestyle() == "--"] == [[0.2, 0.2]]
    assert not [line for line in right.lines if line.get_linestyle() == "--"]
    assert left.get_yscale() == "log" and right.get_yscale() == "linear"
    assert right.yaxis.get_major_formatter()(0.75, 0) == "75 %"
    tops = [segment[1, 1] for segment in right.containers[0].lines[2][0].get_segments()]
    assert max(tops) <= 1.0, "no share beyond all"


def test_the_legend_names_each_kind_once() -> None:
    (legend,) = lines_figure([DISTANCE] * 3).legends
    assert sorted(text.get_text() for text in legend.get_texts()) == ["drawn images", "real images"]


def test_a_narrow_range_is_linear_and_an_odd_panel_leaves_no_empty_axes() -> None:
    narrow = replace(DISTANCE, lines=[Line("drawn", [1, 2, 3], [(4.0, 0.1)] * 3, "red")], levels={"real": 3.0})
    figure = lines_figure([narrow] * 3)
    assert len(figure.axes) == 3 and {axes.get_yscale() for axes in figure.axes} == {"linear"}
    figure.savefig(io.BytesIO(), format="png")


def test_nothing_to_draw_is_refused() -> None:
    for shown in ([], [LinePanel([Line("drawn", [], [], "red")])]):
        with pytest.raises(InputError, match="nothing to draw"):
            lines_figure(shown)


def test_whole_numbers_have_whole_ticks() -> None:
    left, _ = lines_figure([DISTANCE, ACCURACY]).axes
    assert all(float(tick).is_integer() for tick in left.get_xticks())
