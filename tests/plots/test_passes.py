# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores over passes."""

from __future__ import annotations

import io

import numpy as np
import pytest

from stic_fast.errors import InputError
from stic_fast.plots.passes import Panel, passes_figure

DISTANCE = Panel("FD-cnn@300", "lower is better", [(40.0, 2.0), (4.0, 0.5), (1.0, 0.2)], 0.2, False)
ACCURACY = Panel("test accuracy", "higher is better", [(0.9, 0.01), (0.99, 0.01), (1.0, 0.001)], None, True)


def test_values_bars_and_the_line_of_real_images_are_drawn() -> None:
    figure = passes_figure([1, 2, 5], [DISTANCE, ACCURACY])
    left, right = figure.axes
    line = left.containers[0].lines[0]
    assert line.get_xdata().tolist() == [1, 2, 5] and line.get_ydata().tolist() == [40.0, 4.0, 1.0]
    bars = [segment[:, 1].tolist() for segment in left.containers[0].lines[2][0].get_segments()]
    np.testing.assert_allclose(bars, [[36, 44], [3, 5], [0.6, 1.4]])
    assert [line.get_ydata() for line in left.lines if line.get_linestyle() == "--"] == [[0.2, 0.2]]
    assert not [line for line in right.lines if line.get_linestyle() == "--"], "a classifier has no real counterpart"
    assert left.get_yscale() == "log" and right.get_yscale() == "linear"
    assert right.yaxis.get_major_formatter()(0.75, 0) == "75 %"
    tops = [segment[1, 1] for segment in right.containers[0].lines[2][0].get_segments()]
    assert max(tops) <= 1.0, "no share beyond all"


def test_the_legend_names_each_kind_once() -> None:
    (legend,) = passes_figure([1], [DISTANCE._replace(values=[(2.0, 0.1)])] * 3).legends
    named = [text.get_text() for text in legend.get_texts()]
    assert sorted(named) == ["as many real images", "drawn images (bars: ±2 standard errors)"]


def test_a_narrow_range_is_linear_and_an_odd_panel_leaves_no_empty_axes() -> None:
    figure = passes_figure([1, 2, 3], [DISTANCE._replace(real=3.0, values=[(4.0, 0.1)] * 3)] * 3)
    assert len(figure.axes) == 3 and {axes.get_yscale() for axes in figure.axes} == {"linear"}
    figure.savefig(io.BytesIO(), format="png")


def test_nothing_to_draw_is_refused() -> None:
    for passes, panels in (([], [DISTANCE]), ([1], [])):
        with pytest.raises(InputError, match="no pass to draw"):
            passes_figure(passes, panels)
