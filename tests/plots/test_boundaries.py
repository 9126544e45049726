# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Clouds of classes: dots and stars where they belong, in the colours of their classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from stic_fast.errors import InputError
from stic_fast.plots.boundaries import COLOURS, MOST_CLASSES, Cloud, boundary_figure

RANDOM = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0], [50.0, 5.0], [20.0, 60.0]])
REAL_CLASSES, DRAWN_CLASSES = np.arange(30) % 3, np.array([2, 0, 1, 1])
CLOUD = Cloud(
    "a run",
    CENTRES[REAL_CLASSES] + RANDOM.normal(size=(30, 2)),
    REAL_CLASSES,
    CENTRES[DRAWN_CLASSES] + RANDOM.normal(size=(4, 2)),
    DRAWN_CLASSES,
    "silhouette 0.5",
)


def test_points_are_where_they_were_put_in_their_colours() -> None:
    (axes,) = boundary_figure([CLOUD], ["cat", "dog", "owl"]).axes
    real, drawn = axes.collections
    np.testing.assert_array_equal(real.get_offsets(), CLOUD.real)
    np.testing.assert_array_equal(drawn.get_offsets(), CLOUD.drawn)
    for points, classes in ((real, REAL_CLASSES), (drawn, DRAWN_CLASSES)):
        np.testing.assert_allclose(points.get_facecolors()[:, :3], [to_rgb(COLOURS[number]) for number in classes])
    assert to_rgb(tuple(drawn.get_edgecolors()[0])) == (0.0, 0.0, 0.0)
    assert axes.get_title(loc="left") == "a run" and axes.get_xlabel() == "silhouette 0.5"


def test_names_stand_by_their_classes() -> None:
    (axes,) = boundary_figure([CLOUD], ["cat", "dog", "owl"]).axes
    for name, centre in zip(axes.texts, CENTRES, strict=True):
        assert np.linalg.norm(np.array(name.xy) - centre) < 4
    empty = boundary_figure([CLOUD], ["cat", "dog", "owl", "yak"]).axes[0]
    assert [text.get_text() for text in empty.texts] == ["cat", "dog", "owl"]


def test_each_classifier_has_a_panel_and_no_text_covers_other_text() -> None:
    figure = boundary_figure([CLOUD, CLOUD], ["cat", "dog", "owl"])
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes) == 2
    parts = [part for axes in figure.axes for part in (axes.xaxis.label, axes._left_title)]
    boxes = [part.get_window_extent() for part in [*parts, *figure.legends]]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_more_classes_than_colours_are_refused() -> None:
    assert len(set(COLOURS)) == MOST_CLASSES
    with pytest.raises(InputError, match="1 to 10 classes, got 1 and 11; show fewer classes"):
        boundary_figure([CLOUD], [str(number) for number in range(11)])
    with pytest.raises(InputError, match="needs a classifier"):
        boundary_figure([], ["cat"])
