# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The reliability diagram shows the bins' numbers, with units, and leaves matplotlib's state alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from stic_fast.errors import InputError
from stic_fast.evaluation.calibration import reliability
from stic_fast.plots.looks import save_figure
from stic_fast.plots.reliability import reliability_figure

COUNTS = np.array([0, 1, 4, 995])
ACCURACY = np.array([np.nan, 1.0, 0.5, 0.92])
CONFIDENCE = np.array([np.nan, 0.3, 0.6, 0.951])


@pytest.fixture
def bins() -> Any:
    gaps = np.nan_to_num(np.abs(ACCURACY - CONFIDENCE))
    edges, ece = np.linspace(0, 1, 5), float((COUNTS * gaps).sum() / 1000)
    return SimpleNamespace(edges=edges, counts=COUNTS, accuracy=ACCURACY, confidence=CONFIDENCE, ece=ece)


def bars(axes: Any) -> list[tuple[float, float, float]]:
    """Left edge, bottom and top of every bar."""
    return [(bar.get_x(), bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]


def test_bars_gaps_and_counts_are_those_given(bins: Any) -> None:
    above, below = reliability_figure(bins).axes
    np.testing.assert_allclose(bars(above)[:3], [(0.25, 0, 1.0), (0.5, 0, 0.5), (0.75, 0, 0.92)])
    np.testing.assert_allclose(bars(above)[3:], [(0.25, 1.0, 0.3), (0.5, 0.5, 0.6), (0.75, 0.92, 0.951)])
    (diagonal,) = above.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert [top for _, _, top in bars(below)] == [0, 1, 4, 995]
    assert below.get_yscale() == "log"
    accuracy, confidence = (line.get_xdata()[0] for line in below.lines)
    assert accuracy == pytest.approx((1 + 4 * 0.5 + 995 * 0.92) / 1000)
    assert confidence == pytest.approx((0.3 + 4 * 0.6 + 995 * 0.951) / 1000)


def test_axes_units_title_and_legends_are_there(bins: Any) -> None:
    above, below = reliability_figure(bins, title="digits").axes
    assert above.get_title(loc="left") == "digits\ncalibration error 3.19 % (4 bins, 1,000 images)"
    assert "(%)" in above.get_ylabel() and "(%)" in below.get_xlabel()
    assert below.get_ylabel() == "images in a bin\n(log scale)"
    names = [text.get_text() for text in above.get_legend().get_texts()]
    assert sorted(names) == ["accuracy", "gap to mean confidence", "perfect calibration"]
    assert [text.get_text() for text in below.get_legend().get_texts()] == [
        "mean accuracy 91.8 %",
        "mean confidence 94.9 %",
    ]


def test_even_counts_keep_a_linear_axis(bins: Any) -> None:
    bins.counts = np.array([0, 10, 4, 9])
    below = reliability_figure(bins).axes[1]
    assert below.get_yscale() == "linear"
    assert below.get_ylabel() == "images in a bin"


def test_what_calibration_gives_is_drawn_as_it_is(tmp_path: Path) -> None:
    logits = 3 * torch.randn(500, 5, generator=torch.Generator().manual_seed(0))
    bins = reliability(logits, logits[:, :4].argmax(1), 4)
    path, again = tmp_path / "reliability.png", tmp_path / "again.png"
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        save_figure(reliability_figure(bins, title="always right"), path)
        save_figure(reliability_figure(bins, title="always right"), again)
        assert dict(matplotlib.rcParams) == before
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 600
    assert path.read_bytes() == again.read_bytes()


def test_no_text_is_clipped_or_covers_other_text(bins: Any) -> None:
    figure = reliability_figure(bins, title="CIFAR-10, WRN-28-10, pass 5")
    FigureCanvasAgg(figure).draw()
    boxes = [figure.axes[0].title, figure.axes[0]._left_title, figure.axes[0].get_legend()]
    boxes += [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    extents = [part.get_window_extent() for part in boxes if not hasattr(part, "get_text") or part.get_text()]
    assert len(extents) == 5
    for number, box in enumerate(extents):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in extents[:number])


def test_errors_leave_no_file(bins: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reliability\.pdf"):
        save_figure(reliability_figure(bins), tmp_path / "reliability.pdf")
    assert list(tmp_path.iterdir()) == []
