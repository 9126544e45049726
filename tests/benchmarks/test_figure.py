# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The picture's bars and lines stand where the numbers do."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.figure import draw_gains, draw_throughput, gains, pictured
from benchmarks.results import Row


def test_bars_start_at_one_and_end_at_the_ratio() -> None:
    axes = Figure().subplots()
    draw_gains(axes, [(Row("op", "(1,) float32", 2), {"eager": 20.0, "torchebm": 0.5})])
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert [(bar.get_x(), round(bar.get_x() + bar.get_width(), 9)) for bar in bars] == [(1.0, 20.0), (1.0, 0.5)]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["eager / stic_fast", "torchebm / stic_fast"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["op\n(1,)"]
    assert axes.get_xlabel() and axes.get_xscale() == "log"


def test_gains_are_those_of_the_fastest_variant() -> None:
    row = Row("op", "case", 2, {"stic_fast": {0: 1.0}, "stic_fast bf16": {0: 0.5}, "eager": {0: 2.0}})
    assert gains(row) == {"eager": 4.0}


@pytest.mark.parametrize(
    ("case", "is_shown"),
    [
        ("(64, 3) float32", True),
        ("(64, 3) float32, first group", True),
        ("(64, 3) uint8", True),
        ("(64, 3) bfloat16", False),
        ("(64, 3) float32, step sizes per chain", False),
    ],
)
def test_half_precision_is_left_to_the_tables(case: str, is_shown: bool) -> None:
    assert bool(pictured([Row("grmala_step", case, 2)])) is is_shown


def test_throughput_lines_by_implementation_and_threads() -> None:
    axes = Figure().subplots()
    rows = [
        Row("op", str(elements), threads, {"stic_fast": {0: elements * 1e-9 / threads}}, {"elements": elements})
        for threads in (1, 2)
        for elements in (10_000, 1_000)
    ]
    draw_throughput(axes, rows)
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.get_lines()}
    assert lines.keys() == {"stic_fast, 1 thread", "stic_fast, 2 threads"}
    assert lines["stic_fast, 2 threads"] == [pytest.approx([1_000, 2e9]), pytest.approx([10_000, 2e9])]
    assert axes.get_xscale() == axes.get_yscale() == "log" and axes.get_xlabel() and axes.get_ylabel()
