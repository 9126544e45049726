# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Calibration by pass, and the reliability at the end."""

from __future__ import annotations

import io
from typing import Any

from stic_fast.studies.calibration import LARGEST_DOT, calibration_figure

BINS = {"edges": [0, 0.5, 1], "counts": [0, 4], "accuracy": [None, 0.75], "confidence": [None, 0.8]}
AFTER = {"edges": [0, 0.5, 1], "counts": [1, 3], "accuracy": [1.0, 0.6], "confidence": [0.4, 0.7]}


def ended(number: int, **scores: float) -> dict[str, Any]:
    """A pass."""
    plain = {"NLL": 0.3, "ECE": 0.05, "NLL-T": 0.2, "ECE-T": 0.04, "temperature": 1.5} | scores
    return {"pass": number, "n": 4, **plain, "reliability": BINS, "reliability_after": AFTER}


def test_each_run_has_two_lines_in_either_panel_and_a_panel_of_its_own() -> None:
    figure = calibration_figure({"a": [ended(1), ended(3, NLL=0.1)], "b": [ended(1)]})
    left, right, *below = figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[0.3, 0.1], [0.2, 0.2], [0.3], [0.2]]
    assert left.lines[0].get_xdata().tolist() == [1, 3] and right.lines[1].get_ydata().tolist() == [0.04, 0.04]
    assert left.get_yscale() == "log" and len(below) == 2
    before, after = below[0].collections
    assert before.get_offsets().tolist() == [[0.8, 0.75]] and before.get_sizes().tolist() == [LARGEST_DOT]
    assert after.get_offsets().tolist() == [[0.4, 1.0], [0.7, 0.6]]
    figure.savefig(io.BytesIO(), format="png")


def test_an_error_of_zero_stays_on_the_logarithmic_axis() -> None:
    figure = calibration_figure({"a": [ended(1, **{"ECE": 0.0, "NLL-T": 0.0})]})
    assert all(y > 0 for axes in figure.axes[:2] for line in axes.lines for y in line.get_ydata())


def test_more_runs_than_a_row_holds() -> None:
    figure = calibration_figure({str(number): [ended(1)] for number in range(6)})
    assert len(figure.axes) == 2 + 6
    figure.savefig(io.BytesIO(), format="png")
