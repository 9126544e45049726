# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The histograms show the shares of each set, label what they show, and take whatever scores come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from stic_fast.errors import InputError
from stic_fast.evaluation.out_of_distribution import SCORE_LABELS
from stic_fast.plots.histograms import BINS, score_histograms
from stic_fast.plots.looks import save_figure

CONFIDENCE = SCORE_LABELS["class_confidence"]
SETS = ("digits test", "uniform noise", "shuffled pixels", "interpolated")


@pytest.fixture
def scores() -> Any:
    """Every score of every set, as tensors of different lengths."""
    generator = torch.Generator().manual_seed(0)
    return {
        label: {name: torch.randn(100 + 50 * at, generator=generator) - at for at, name in enumerate(SETS)}
        for label in SCORE_LABELS.values()
    }


def shares(panel: Any) -> list[Any]:
    return [step.get_data() for step in panel.patches]


def test_panels_hold_the_shares_of_both_sets(scores: Any) -> None:
    axes = score_histograms(scores, inside="digits test").axes
    assert len(axes) == len(SCORE_LABELS) * 3
    values = scores[CONFIDENCE]
    inside, outside = shares(axes[3 + 1])  # second row, second set
    for found, name in ((inside, "digits test"), (outside, "shuffled pixels")):
        wanted = np.histogram(values[name].numpy().astype(np.float64), found.edges)[0] / len(values[name])
        np.testing.assert_allclose(found.values, wanted)
        assert found.values.sum() == pytest.approx(1.0)
    assert len(inside.edges) == BINS + 1
    both = torch.cat([values["digits test"], values["shuffled pixels"]])
    assert (inside.edges[0], inside.edges[-1]) == pytest.approx((float(both.min()), float(both.max())))


def test_scores_sets_and_aurocs_are_named(scores: Any) -> None:
    aurocs = {label: {"uniform noise": 0.75} for label in scores}
    figure = score_histograms(scores, inside="digits test", aurocs=aurocs)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "uniform noise\nAUROC 0.750",
        "shuffled pixels",
        "interpolated",
    ]
    assert [row.get_supxlabel() for row in figure.subfigs] == list(SCORE_LABELS.values())
    assert {row.get_supylabel() for row in figure.subfigs} == {"share of the set (%)"}
    (legend,) = figure.subfigs[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["digits test", "outliers"]


def test_scores_that_are_equal_or_not_finite_are_drawn_too() -> None:
    sets = {"in": np.array([1.0, 1.0, np.nan, np.inf]), "same": np.ones(3), "none": np.full(2, -np.inf)}
    panels = score_histograms({"score": sets}, inside="in").axes
    (known, same), (_, none) = (shares(panel) for panel in panels)
    assert known.values.sum() == pytest.approx(0.5)  # half of the set is finite
    assert same.values.sum() == pytest.approx(1.0)
    assert none.values.sum() == 0.0
    assert known.edges[0] < 1 < known.edges[-1]


def test_rows_of_different_lengths_leave_blanks(scores: Any) -> None:
    short = {name: scores[CONFIDENCE][name] for name in SETS[:2]}
    figure = score_histograms({**scores, CONFIDENCE: short}, inside="digits test")
    assert [axes.axison for axes in figure.axes[3:6]] == [True, False, False]


def test_file_is_a_png_and_repeats_bitwise(scores: Any, tmp_path: Path) -> None:
    path, again = tmp_path / "scores.png", tmp_path / "again.png"
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        save_figure(score_histograms(scores, inside="digits test"), path)
        save_figure(score_histograms(scores, inside="digits test"), again)
        assert dict(matplotlib.rcParams) == before
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 800
    assert path.read_bytes() == again.read_bytes()


def test_no_text_is_clipped_or_covers_other_text(scores: Any) -> None:
    aurocs = {label: dict.fromkeys(SETS[1:], 0.5) for label in scores}
    figure = score_histograms(scores, inside="digits test", aurocs=aurocs)
    FigureCanvasAgg(figure).draw()
    parts = [axes._left_title for axes in figure.axes]
    parts += [text for row in figure.subfigs for text in (row._supxlabel, row._supylabel)]
    parts += figure.subfigs[0].legends
    boxes = [part.get_window_extent() for part in parts]
    assert len(boxes) == 5 * len(SCORE_LABELS) + 1
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_bad_input_is_refused_in_words(scores: Any) -> None:
    with pytest.raises(InputError, match="score"):
        score_histograms({}, inside="digits test")
    with pytest.raises(InputError, match="'CIFAR-10'"):
        score_histograms(scores, inside="CIFAR-10")
    with pytest.raises(InputError, match=r"\['in'\]"):
        score_histograms({"score": {"in": np.ones(2)}}, inside="in")
