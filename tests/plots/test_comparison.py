# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The picture of a comparison holds every run, its mean and what real images get, and stays small for many labels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from stic_fast.errors import InputError
from stic_fast.plots.comparison import COLOURS, Panel, comparison_figure, save_comparison

VALUES = {"STIC": [1.0, 2.0, 6.0], "JEM": [4.0], "GMMC": []}


def test_dots_bars_and_the_real_line_are_where_the_numbers_are() -> None:
    (axes,) = comparison_figure([Panel("FD", VALUES, "lower", real=0.5)]).axes
    dots, mean, one, its_mean, real = axes.lines
    assert list(dots.get_xdata()) == [1.0, 2.0, 6.0] and max(np.abs(dots.get_ydata())) < 0.5
    assert list(mean.get_xdata()) == [3.0, 3.0]
    assert (
        list(one.get_xdata()) == [4.0] and list(one.get_ydata()) == [1.0] and list(its_mean.get_xdata()) == [4.0, 4.0]
    )
    assert list(real.get_xdata()) == [0.5, 0.5] and real.is_dashed()
    assert [text.get_text() for text in axes.texts] == ["no value"] and axes.texts[0].get_position()[1] == 2
    assert axes.get_title(loc="left") == "FD" and axes.get_xlabel() == "← better"
    low, high = axes.get_ylim()
    assert low > high, "the first label is on top"


def test_colours_and_directions_differ_and_nothing_is_invented() -> None:
    figure = comparison_figure([Panel("a", VALUES, "higher"), Panel("b", VALUES)])
    first, second = figure.axes
    assert first.get_xlabel() == "better →" and second.get_xlabel() == ""
    assert to_hex(first.lines[0].get_color()).upper() == COLOURS[0] != to_hex(first.lines[2].get_color()).upper()
    assert len(first.lines) == 4, "no line of real images"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a run", "their mean"]


def test_long_titles_stay_above_their_own_panel() -> None:
    names = ["distance to the nearest training image", "AUROC −‖∂ log p(x)/∂x‖, mean of 6 sets", "accuracy"]
    figure = comparison_figure([Panel(name, VALUES) for name in names])
    figure.draw_without_rendering()
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
    assert [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes] == names


def test_only_wide_positive_values_are_logarithmic() -> None:
    wide = {"a": [0.1], "b": [60.0]}
    scales = [
        comparison_figure([panel]).axes[0].get_xscale()
        for panel in (
            Panel("x", wide),
            Panel("x", {"a": [1.0], "b": [2.0]}, real=0.001),
            Panel("x", {"a": [-0.1], "b": [60.0]}),
            Panel("x", VALUES),
            Panel("x", {"a": [], "b": []}),
        )
    ]
    assert scales == ["log", "log", "linear", "linear", "linear"]


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (4, 1, 4), (5, 2, 3), (8, 2, 4), (9, 3, 3)])
def test_panels_fill_a_grid_of_four_columns_at_most(count: int, rows: int, columns: int) -> None:
    figure = comparison_figure([Panel(str(i), VALUES) for i in range(count)])
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, columns)
    assert sum(axes.get_visible() for axes in figure.axes) == count


def test_seven_labels_stay_on_one_screen(tmp_path: Path) -> None:
    labels = ["STIC", "STIC-ERM", "JEM", "GMMC (generative)", "GMMC (discriminative)", "introspective", "softmax"]
    panels = [Panel(f"score {i}", {label: [i, i + 0.5] for label in labels}, "higher", real=i) for i in range(8)]
    save_comparison(panels, tmp_path / "all.png")
    with Image.open(tmp_path / "all.png") as picture:
        assert 1200 < picture.width < 2000 and picture.height < 1000
    with pytest.raises(InputError, match=r"\.png"):
        save_comparison(panels, tmp_path / "all.jpg")


def test_bad_panels_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="score"):
        comparison_figure([])
    with pytest.raises(InputError, match="labels"):
        comparison_figure([Panel("a", VALUES), Panel("b", {"STIC": [1.0]})])
    with pytest.raises(InputError, match="labels"):
        comparison_figure([Panel("a", {})])
