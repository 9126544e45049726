# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What all figures share: places, legends and files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from stic_fast.errors import InputError
from stic_fast.plots import looks
from stic_fast.readable import readable


def test_colours_differ() -> None:
    table = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (*looks.COLOURS, looks.BLACK)])
    assert min(np.abs(one - other).max() for one, other in itertools.combinations(table, 2)) > 50


def test_spare_places_of_a_grid_are_left_empty() -> None:
    figure = looks.new_figure(4, 4)
    assert looks.panels(figure, 5, columns=3) == figure.axes and len(figure.axes) == 5
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 3)


def test_bands_stand_below_each_other_at_their_inches() -> None:
    figure, (top, left, right) = looks.stack(
        5, [looks.Band(0.5, 1), looks.Band(0.25, 2, columns=2)], left=1, below=0.75
    )
    across, down = figure.get_size_inches()
    assert (across, down) == pytest.approx((6.2, 4.5))
    corners = [axes.get_position().get_points() * (across, down) for axes in (top, left, right)]
    np.testing.assert_allclose(corners, [[(1, 3), (6, 4)], [(1, 0.75), (3, 2.75)], [(4, 0.75), (6, 2.75)]])


def test_a_legend_names_each_label_once_and_what_is_drawn_nowhere() -> None:
    figure = looks.new_figure(4, 3)
    for axes in looks.panels(figure, 2, columns=2):
        axes.plot([0, 1], label="drawn")
        axes.plot([1, 0], label="")
    looks.legend(figure, looks.mark("real", **looks.DASHED))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["drawn", "real"]


@pytest.mark.parametrize(("dense", "labels"), [(True, ["1", "2", "5", "10", "20"]), (False, ["1", "10"])])
def test_a_logarithmic_axis_has_plain_numbers(dense: bool, labels: list[str]) -> None:
    figure = looks.new_figure(4, 6)
    axes = figure.subplots()
    axes.plot([1, 2], [1, 20])
    looks.logarithmic(axes, dense=dense)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    shown = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    assert [label.get_text() for place, label in shown if low <= place <= high] == labels


def test_a_figure_is_written_as_png_or_not_at_all(tmp_path: Path) -> None:
    looks.save_figure(looks.new_figure(1, 1), tmp_path / "one.png", dpi=50)
    with pytest.raises(InputError, match=r"picture\.pdf"):
        looks.save_figure(looks.new_figure(1, 1), tmp_path / "picture.pdf")
    assert [file.name for file in tmp_path.iterdir()] == ["one.png"]


@pytest.mark.parametrize("name", ["A$AP$", "$_$", "Ke$ha vs $^", "tau$5", "caf\udce9"])
def test_names_are_no_mathematics(name: str, tmp_path: Path) -> None:
    figure = looks.new_figure(3, 3)
    axes = figure.subplots()
    axes.plot([1, 1000], label=name)
    axes.set_yscale("log")
    axes.set_title(name)
    axes.set_xticks([0, 1], [readable(name), "b"])
    looks.legend(figure)
    looks.save_figure(figure, tmp_path / "one.png")
    (entry,), tick = figure.legends[0].get_texts(), axes.get_xticklabels()[0]
    for text in (entry, tick, axes.title):
        assert text.get_text() == readable(name) and not ("$" in name and text.get_parse_math())
    assert any(label.get_parse_math() and "10^{2}" in label.get_text() for label in axes.get_yticklabels())
