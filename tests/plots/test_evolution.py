# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The loss with images below it."""

from __future__ import annotations

import io
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from stic_fast.plots.evolution import TITLE, Moment, evolution_figure
from stic_fast.training.stic import LOSSES

METRICS: list[dict[str, Any]] = [
    {"kind": "train", "pass": 1 + number // 10, "iteration": number + 1, "loss": 5.0 - number / 10, "loss_real": 1.0}
    for number in range(30)
]


def moments(*iterations: int, rows: int = 3, shape: tuple[int, ...] = (1, 8, 8)) -> list[Moment]:
    return [Moment(at, f"at {at}", torch.zeros(rows, *shape, dtype=torch.uint8)) for at in iterations]


def test_each_column_stands_below_its_iteration() -> None:
    figure = evolution_figure(METRICS, moments(0, 10, 20, 30), ["cat", "dog", "mouse"])
    loss, tiles = figure.axes
    assert loss.get_xlim() == tiles.get_xlim() == (-5, 35)
    assert loss.get_position().x0 == tiles.get_position().x0 and loss.get_position().x1 == tiles.get_position().x1
    centres = [(image.get_extent()[0] + image.get_extent()[1]) / 2 for image in tiles.images]
    np.testing.assert_allclose(centres, [0, 10, 20, 30], atol=1e-12)
    assert [label.get_text() for label in tiles.get_yticklabels()] == ["cat", "dog", "mouse"]
    assert tiles.get_title(loc="left").replace("\n", " ") == TITLE
    total = next(line for line in loss.lines if line.get_label() == "total")
    np.testing.assert_allclose(total.get_ydata(), [record["loss"] for record in METRICS])


def test_each_curve_of_the_loss_has_a_look_of_its_own() -> None:
    terms = ("loss_real", "loss_mixup", "loss_hard_fake", "loss_soft_fake")
    metrics = [{**record, **dict.fromkeys(terms, 1.0)} for record in METRICS]
    lines = evolution_figure(metrics, moments(0, 30), ["cat", "dog", "mouse"], panel=LOSSES).axes[0].lines
    looks = {line.get_label(): (line.get_color(), line.get_linestyle()) for line in lines if line.get_color() != "0.85"}
    assert set(looks) == {"total", "real", "mixup", "hard fakes", "soft fakes"}
    assert len(set(looks.values())) == len(looks)


def test_columns_that_are_unevenly_apart_do_not_overlap() -> None:
    _, tiles = evolution_figure(METRICS, moments(0, 20, 30), ["cat", "dog", "mouse"]).axes
    edges = [image.get_extent()[:2] for image in tiles.images]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(edges))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 8), (3, 8, 16)])
def test_pixels_are_square(shape: tuple[int, ...]) -> None:
    figure = evolution_figure(METRICS, moments(0, 10, 20, shape=shape), ["a", "b", "c"])
    tiles = figure.axes[1]
    width, height = figure.get_size_inches()
    box, (left, right, bottom, top) = tiles.get_position(), tiles.images[0].get_extent()
    across = (right - left) / 30 * box.width * width
    down = (bottom - top) / 3 * box.height * height / 3
    assert down / across == pytest.approx(shape[1] / shape[2], rel=0.1)


def test_one_moment_and_no_metrics_can_be_drawn() -> None:
    figure = evolution_figure([], moments(0, rows=1), ["cat"])
    file = io.BytesIO()
    Figure.savefig(figure, file, format="png")
    assert file.getvalue().startswith(b"\x89PNG")
