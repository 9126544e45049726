# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Strips of samples with dots beside them: each row's numbers at its height, each image whole in its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from stic_fast.errors import InputError
from stic_fast.studies.gram_layers import COLUMNS, Drawn, gram_layers_figure


def grey(level: int, *, height: int = 8) -> torch.Tensor:
    return torch.full((20, 1, height, 8), level, dtype=torch.uint8)


def rows_of(height: int = 8) -> dict[str, Drawn]:
    return {
        "none\nε2 = 0": (grey(10, height=height), {"FD": 9.0, "seconds_per_image": 0.5}),
        "all": (None, {}),
        "deep": (grey(200, height=height), {"FD": 1.25, "seconds_per_image": 1.0}),
    }


TITLES = {"FD": "FD-cnn@20", "seconds_per_image": "seconds per image"}
CLASSES = ["a", "b", "c", "d", "e"]


@pytest.fixture
def figure() -> Any:
    return gram_layers_figure(rows_of(), TITLES, {"FD": 1.0}, CLASSES)


def test_dots_stand_at_the_height_of_their_rows(figure: Any) -> None:
    strips, distance, seconds = figure.axes
    assert [text.get_text() for text in strips.get_yticklabels()] == ["none\nε2 = 0", "all", "deep"]
    line, dots = distance.lines
    assert list(line.get_xdata()) == [1.0, 1.0]
    assert (list(dots.get_xdata()), list(dots.get_ydata())) == ([9.0, 1.25], [0, 2])
    assert [text.get_text() for text in distance.texts] == ["9.00", "1.25"]
    assert [text.get_text() for text in seconds.texts] == ["0.5000", "1.0000"] and len(seconds.lines) == 1
    assert strips.get_ylim() == distance.get_ylim() == seconds.get_ylim() == (2.5, -0.5)
    assert distance.get_xlabel() == "lower is better"


def test_strips_show_their_images_or_say_that_there_are_none(figure: Any) -> None:
    strips = figure.axes[0]
    middles = [sum(image.get_extent()[2:]) / 2 for image in strips.images]
    assert middles == [0, 2]
    for image, level in zip(strips.images, (10, 200), strict=True):
        assert (np.asarray(image.get_array()) == level).mean() > 0.7
    assert [text.get_text() for text in strips.texts] == ["diverged"]
    assert [text.get_text() for text in strips.get_xticklabels()] == 2 * CLASSES
    assert figure.legends[0].get_texts()[0].get_text() == "real test images"


@pytest.mark.parametrize("height", [8, 16])
def test_samples_keep_their_shape(height: int) -> None:
    figure = gram_layers_figure(rows_of(height), TITLES, {}, CLASSES)
    strips = figure.axes[0]
    FigureCanvasAgg(figure).draw()
    left, right, bottom, top = strips.images[0].get_extent()
    corners = strips.transData.transform([(left, bottom), (right, top)])
    wide, high = np.abs(corners[1] - corners[0])
    assert high / wide == pytest.approx(2 * height / (COLUMNS * 8), rel=0.01)


def test_columns_are_named_only_where_classes_repeat_evenly() -> None:
    strips = gram_layers_figure(rows_of(), TITLES, {}, ["a", "b", "c"]).axes[0]
    assert len(strips.get_xticklabels()) == 0


def test_no_text_is_clipped_or_covers_other_text(figure: Any) -> None:
    FigureCanvasAgg(figure).draw()
    strips, *panels = figure.axes
    parts = [*strips.get_yticklabels(), *strips.get_xticklabels(), *figure.legends]
    parts += [part for axes in panels for part in (axes._left_title, axes.xaxis.label, *axes.texts)]
    boxes = [part.get_window_extent() for part in parts]
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(InputError, match="diverged"):
        gram_layers_figure({"all": (None, {})}, TITLES, {}, CLASSES)
