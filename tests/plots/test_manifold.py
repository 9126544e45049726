# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The sweep over neighbours as a picture."""

from __future__ import annotations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from stic_fast.errors import InputError
from stic_fast.plots.manifold import sweep_figure


def row(k: int, value: float) -> dict[str, float]:
    return {"k": k, "precision": value, "recall": value / 2, "density": 1.5 * value, "coverage": value / 3}


def test_sets_are_drawn_and_their_smallest_k_is_hollow() -> None:
    figure = sweep_figure({"drawn": [row(1, 0.3), row(2, 0.6), row(3, 0.8)], "real": [row(1, 0.9)]}, note="4 images")
    left, right = figure.axes
    assert (left.get_xlabel().split()[0], left.get_ylabel().split()[0]) == ("precision", "recall")
    assert (right.get_xlabel().split()[0], right.get_ylabel().split()[0]) == ("density", "coverage")
    drawn, hollow, real, _ = left.lines
    assert list(drawn.get_xdata()) == [0.3, 0.6, 0.8] and list(drawn.get_ydata()) == [0.15, 0.3, 0.4]
    assert list(hollow.get_xdata()) == [0.3] and hollow.get_markerfacecolor() == "white"
    assert list(right.lines[2].get_ydata()) == [0.9 / 3]
    assert right.get_xlim()[1] > 1.5 * 0.9, "a density may exceed 1"
    assert (drawn.get_linestyle(), real.get_linestyle()) == ("-", "--")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["drawn images", "real test images"]
    assert legend.get_title().get_text() == "4 images; neighbours: from k = 1 (hollow) to 3 along each line"


def test_every_set_has_a_look_of_its_own() -> None:
    names = [f"set {number}" for number in range(20)]
    figure = sweep_figure({**{name: [row(1, 0.2), row(2, 0.5)] for name in names}, "real": [row(1, 0.9)]})
    for axes in figure.axes:
        lines = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert [line.get_label() for line in lines] == [*names, "real test images"]
        assert len({(line.get_color(), line.get_marker()) for line in lines}) == 21


def test_a_set_without_scores_is_left_out() -> None:
    lines = sweep_figure({"drawn": [], "real": [row(1, 0.5)]}).axes[0].lines
    assert [line.get_label() for line in lines if line.get_linestyle() != "None"] == ["real test images"]
    with pytest.raises(InputError, match="manifold scores"):
        sweep_figure({"drawn": [], "real": []})


def test_no_text_is_clipped_or_covers_other_text() -> None:
    sets = {f"a run, {canvas} canvas": [row(1, 0.2), row(2, 0.5)] for canvas in ("uniform", "normal", "blank")}
    figure = sweep_figure({**sets, "another, uniform canvas": [row(1, 0.4)], "real": [row(1, 0.9)]}, note="40 images")
    FigureCanvasAgg(figure).draw()
    parts = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    boxes = [part.get_window_extent() for part in [*parts, *figure.legends]]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])
