# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The heat maps of step sizes: every number in its cell, the run's own and the best one marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.patches import Rectangle

from stic_fast.plots.heat_map import HeatMap
from stic_fast.plots.looks import VERMILION
from stic_fast.studies.step_sizes import step_size_figure

FD = HeatMap("FD-cnn@9", "lower", [[3.0, 2.5, None], [1.25, 9.0, 4.0]], real=0.5)
CLS_R = HeatMap("Cls_R-cnn@9", "higher", [[0.5, 0.6, None], [0.9, 0.1, 1.0]])


@pytest.fixture
def figure() -> Any:
    return step_size_figure([FD, CLS_R], eps1=[0.5, 1.0, 2.0], eps2=[0.25, 0.5], own=(1.0, 0.25))


def test_numbers_stand_in_their_cells(figure: Any) -> None:
    left, right, *_ = figure.axes
    cells = {tuple(text.get_position()): text.get_text() for text in left.texts}
    assert cells == {(0, 0): "3.00", (1, 0): "2.50", (2, 0): "diverged", (0, 1): "1.25", (1, 1): "9.00", (2, 1): "4.00"}
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0.5", "1", "2"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["0.25", "0.5"]
    assert left.get_ylim()[0] < left.get_ylim()[1], "ε2 rises upwards"
    np.testing.assert_array_equal(np.ma.filled(left.images[0].get_array(), np.nan), np.array(FD.values, dtype=float))
    assert left.get_title(loc="left") == "FD-cnn@9, lower is better\nreal test images: 0.50"
    assert right.get_title(loc="left") == "Cls_R-cnn@9, higher is better"
    assert "ε1" in left.get_xlabel() and "ε2" in left.get_ylabel()


def test_brighter_is_better(figure: Any) -> None:
    for axes, surface in zip(figure.axes, (FD, CLS_R), strict=False):
        image = axes.images[0]
        known = sorted(value for values in surface.values for value in values if value is not None)
        worst, best = (known[-1], known[0]) if surface.better == "lower" else (known[0], known[-1])
        assert sum(image.cmap(image.norm(best))[:3]) > sum(image.cmap(image.norm(worst))[:3]) + 1


def test_the_runs_own_cell_and_the_best_are_marked(figure: Any) -> None:
    for axes, (row, column) in zip(figure.axes, ((1, 0), (1, 2)), strict=False):
        (frame,) = (patch for patch in axes.patches if isinstance(patch, Rectangle))
        assert frame.get_xy() == (0.5, -0.5) and frame.get_edgecolor() == to_rgba(VERMILION)
        (star,) = axes.lines
        assert (round(star.get_ydata()[0]), round(star.get_xdata()[0])) == (row, column)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["the run's own setting", "best cell"]


def test_marks_that_have_no_cell_are_left_out() -> None:
    lost = HeatMap("FD", "lower", [[None, None]])
    assert lost.best() is None
    axes = step_size_figure([lost], eps1=[1.0, 2.0], eps2=[0.5], own=(0.7, 0.5)).axes[0]
    assert len(axes.patches) == 0 and len(axes.lines) == 0
    assert [text.get_text() for text in axes.texts] == ["diverged"] * 2


def test_wide_ranges_get_a_logarithmic_scale_and_equal_cells_none() -> None:
    wide = step_size_figure([HeatMap("FD", "lower", [[1.0, 500.0]])], eps1=[1.0, 2.0], eps2=[1.0], own=(1.0, 1.0))
    assert isinstance(wide.axes[0].images[0].norm, LogNorm)
    flat = step_size_figure([HeatMap("FD", "lower", [[2.0, 2.0]])], eps1=[1.0, 2.0], eps2=[1.0], own=(1.0, 1.0))
    FigureCanvasAgg(flat).draw()
    assert not isinstance(flat.axes[0].images[0].norm, LogNorm)


def test_no_text_is_clipped_or_covers_other_text(figure: Any) -> None:
    FigureCanvasAgg(figure).draw()
    parts = [label for axes in figure.axes[:2] for label in (axes.xaxis.label, axes.yaxis.label, axes._left_title)]
    parts += [*figure.legends, *figure.axes[0].texts, *figure.axes[1].texts]
    boxes = [part.get_window_extent() for part in parts]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])
