# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Strips of paths with curves in line with their frames."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch

from stic_fast.studies.interpolation import interpolation_figure

SHARES = [0.0, 0.25, 0.5, 0.75, 1.0]


FRAMES = torch.zeros(2 * 5, 1, 8, 8, dtype=torch.uint8)


def found(either: float = 0.9) -> dict[str, Any]:
    return {"either": [(either, 0.01)] * 5, "second": [(share, 0.1) for share in SHARES], "step": [(1.5, 0.1)] * 4}


def two_runs() -> Any:
    measured = {"ours": found(), "theirs": found(0.5)}
    return interpolation_figure(SHARES, ("cat", "dog"), dict.fromkeys(measured, FRAMES), measured, real=0.98)


def test_curves_stand_below_the_frames_that_they_are_of() -> None:
    figure = two_runs()
    *tiles, either, second, step = figure.axes
    assert [axes.get_ylabel() for axes in tiles] == ["ours", "theirs"]
    assert tiles[0].get_position().y0 > tiles[1].get_position().y1 > either.get_position().y1
    for axes in figure.axes:
        assert axes.get_xlim() == (-0.125, 1.125)
        assert axes.get_position().x0 == tiles[0].get_position().x0
    left, right, *_ = tiles[0].images[0].get_extent()
    frames = left + (np.arange(5) + 0.5) * (right - left) / 5
    np.testing.assert_allclose(np.array(either.containers[0].lines[0].get_xdata(), float), frames, atol=1e-12)
    between = np.array(step.containers[0].lines[0].get_xdata(), float)
    np.testing.assert_allclose(between, (frames[1:] + frames[:-1]) / 2, atol=1e-12)
    assert "p(A) + p(B)" in either.get_ylabel() and "p(B)" in second.get_ylabel()
    assert tiles[0].get_title(loc="left") == "from A = cat to B = dog, by the share of B"


def test_each_run_has_its_colour_and_its_values() -> None:
    figure = two_runs()
    ours, theirs, either, *_ = figure.axes
    lines = [container.lines[0] for container in either.containers]
    assert [line.get_ydata()[0] for line in lines] == [0.9, 0.5]
    assert [line.get_color() for line in lines] == [ours.yaxis.label.get_color(), theirs.yaxis.label.get_color()]
    assert lines[0].get_color() != lines[1].get_color()
    dashed = [line.get_ydata()[0] for line in either.lines if line.get_linestyle() == "--"]
    assert dashed == [0.98]
    assert either.get_legend() is not None


def test_many_frames_are_labelled_now_and_then() -> None:
    shares = [frame / 40 for frame in range(41)]
    many = {"either": [(1.0, 0.0)] * 41, "second": [(0.5, 0.0)] * 41, "step": [(1.0, 0.0)] * 40}
    frames = torch.zeros(41, 1, 8, 8, dtype=torch.uint8)
    figure = interpolation_figure(shares, ("cat", "dog"), {"ours": frames}, {"ours": many}, real=None)
    texts = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert texts[0] == "0 %" and texts[-1] == "100 %" and 5 <= sum(map(bool, texts)) <= 12
    figure.savefig(io.BytesIO(), format="png")
