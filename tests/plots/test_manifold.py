# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The sweep over neighbours as a picture."""

from __future__ import annotations

import pytest

from stic_fast.errors import InputError
from stic_fast.plots.manifold import sweep_figure


def row(k: int, value: float) -> dict[str, float]:
    return {"k": k, "precision": value, "recall": value / 2, "density": 1.5 * value, "coverage": value / 3}


def test_both_sets_are_drawn_and_their_ends_named() -> None:
    figure = sweep_figure({"drawn": [row(1, 0.3), row(2, 0.6), row(3, 0.8)], "real": [row(1, 0.9)]})
    left, right = figure.axes
    assert (left.get_xlabel(), left.get_ylabel()) == ("precision", "recall")
    assert (right.get_xlabel(), right.get_ylabel()) == ("density", "coverage")
    assert list(left.lines[0].get_xdata()) == [0.3, 0.6, 0.8] and list(right.lines[1].get_ydata()) == [0.9 / 3]
    assert [text.get_text() for text in left.texts] == ["k=1", "k=3", "k=1"]
    assert right.get_xlim()[1] > 1.5 * 0.9, "a density may exceed 1"
    assert {line.get_color() for line in left.lines} == {line.get_color() for line in right.lines}


def test_a_set_without_scores_is_left_out() -> None:
    assert len(sweep_figure({"drawn": [], "real": [row(1, 0.5)]}).axes[0].lines) == 1
    with pytest.raises(InputError, match="no manifold scores"):
        sweep_figure({"drawn": [], "real": []})
