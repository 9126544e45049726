# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Clouds of classes: dots and stars where they belong, in the colours of their classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from stic_fast.studies.boundaries import COLOURS, MOST_CLASSES, boundary_figure

RANDOM = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [50.0, 5.0], [20.0, 60.0]])


def points(classes: list[int]) -> list[list[float]]:
    """One for each class in the list."""
    return [[*(CENTRES[label] + RANDOM.normal(size=2)), label] for label in classes]


ROW: dict[str, Any] = {"name": "a run", "real": points([0, 1, 2] * 10), "drawn": points([2, 0, 1, 1])}


def test_points_are_where_they_were_put_in_their_colours() -> None:
    (axes,) = boundary_figure([ROW], ["cat", "dog", "owl"], ["silhouette 0.5"]).axes
    real, drawn = axes.collections
    for shown, key in ((real, "real"), (drawn, "drawn")):
        wanted = np.array(ROW[key])
        np.testing.assert_array_equal(shown.get_offsets(), wanted[:, :2])
        colours = [to_rgb(COLOURS[int(label)]) for label in wanted[:, 2]]
        np.testing.assert_allclose(shown.get_facecolors()[:, :3], colours)
    assert to_rgb(tuple(drawn.get_edgecolors()[0])) == (0.0, 0.0, 0.0)
    assert axes.get_title(loc="left").startswith("a run") and axes.get_xlabel() == "silhouette 0.5"
    assert len(set(COLOURS)) == MOST_CLASSES


def test_names_stand_by_their_classes() -> None:
    (axes,) = boundary_figure([ROW], ["cat", "dog", "owl"], [""]).axes
    for name, centre in zip(axes.texts, CENTRES, strict=True):
        assert np.linalg.norm(np.array(name.xy) - centre) < 4
    empty = boundary_figure([ROW], ["cat", "dog", "owl", "yak"], [""]).axes[0]
    assert [text.get_text() for text in empty.texts] == ["cat", "dog", "owl"]


def test_each_classifier_has_a_panel_and_no_text_covers_other_text() -> None:
    figure = boundary_figure([ROW, ROW], ["cat", "dog", "owl"], ["silhouette 0.5"] * 2)
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes) == 2
    parts = [part for axes in figure.axes for part in (axes.xaxis.label, axes._left_title)]
    boxes = [part.get_window_extent() for part in [*parts, *figure.legends]]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])
