# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Losses and test accuracies of classifiers trained in two ways."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stic_fast.plots.looks import BLUE, RAW_ALPHA, VERMILION
from stic_fast.studies.classifiers import classifiers_figure, smoothed_by_pass


def row(scale: float = 1.0, passes: int = 2) -> dict[str, Any]:
    """A training, as it is in the record."""
    at = list(range(1, 10 * passes + 1))
    return {
        "final_loss": {"value": 0.051 * scale, "error": 0.002},
        "test_accuracy": {"value": 0.9 + passes / 1000, "error": 0.01},
        "test_accuracy_by_pass": {str(number): 0.9 + number / 1000 for number in range(1, passes + 1)},
        "curve": {"iteration": at, "loss": [scale / number for number in at]},
    }


def pairs(*names: str, passes: int = 2) -> dict[str, dict[str, Any]]:
    return {name: {"plain": row(1.0, passes), "stic": row(2.0, passes), "stic_minus_plain": {}} for name in names}


def with_losses(losses: list[float]) -> dict[str, Any]:
    """A training of 30 passes of 10 iterations."""
    long = row(passes=30)
    return {**long, "curve": {**long["curve"], "loss": losses}}


def test_a_column_per_classifier_holds_both_trainings() -> None:
    figure = classifiers_figure(pairs("wrn-10-1", "convnet-1"), 10, 900, "small print")
    upper, lower = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title(loc="left").split("\n")[0] for axes in upper] == ["wrn-10-1", "convnet-1"]
    for axes in upper:
        assert axes.get_yscale() == "log"
        smoothed = {line.get_color(): line for line in axes.lines if line.get_label() in ("plain training", "STIC")}
        assert list(smoothed) == [BLUE, VERMILION]
        np.testing.assert_allclose(smoothed[VERMILION].get_ydata(), 2 * np.asarray(smoothed[BLUE].get_ydata()))
        assert sum(line.get_alpha() == RAW_ALPHA for line in axes.lines) == 2, "as recorded, behind the smoothed"
        assert [line.get_xdata()[0] for line in axes.lines if line.get_color() == "0.85"] == [10]  # type: ignore[index]
    for axes in lower:
        places = [np.array(container.lines[0].get_data(), dtype=np.float64) for container in axes.containers]
        for across, up in places:
            np.testing.assert_allclose(across, [1, 2], atol=0.05)
            np.testing.assert_allclose(up, [0.901, 0.902])
        assert places[0][0, 0] < places[1][0, 0], "they stand beside each other"
    told = [line for axes in (upper[0], lower[0]) for line in axes.get_title(loc="left").split("\n")]
    assert "plain training: 0.0510 ± 0.0040" in told and "STIC: 90.2 ± 2.0 %" in told
    assert figure.get_supxlabel() == "small print"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["plain training", "STIC"]


def test_curves_are_smoothed_over_a_thirtieth_and_never_across_a_pass() -> None:
    at = list(range(1, 301))
    jagged = [1.0 + number % 2 + 10 * (number > 150) for number in at]
    smooth = smoothed_by_pass(at, jagged, 150)
    assert all(1.4 < value < 1.6 for value in smooth[10:140]) and all(11.4 < value < 11.6 for value in smooth[160:290])
    assert max(smooth[:150]) < 2 and min(smooth[150:]) > 11
    figure = classifiers_figure({"a": {"stic": with_losses(jagged)}}, 150, 900)
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "STIC"]
    np.testing.assert_array_equal(line.get_ydata(), smooth)


def test_single_batches_do_not_stretch_the_axis() -> None:
    one = with_losses([1e-6 if number % 100 == 50 else 1.0 for number in range(300)])
    low, high = classifiers_figure({"a": {"plain": one, "stic": one}}, 10, 900).axes[0].get_ylim()
    assert 0.3 < low < 1 < high < 3


def test_names_and_notes_stay_within_the_picture() -> None:
    for figure in (
        classifiers_figure(pairs("convnet-1", passes=1), 10, 900, "word " * 150),
        classifiers_figure(pairs(*(f"wrn-{depth}-1" for depth in (10, 16, 22, 28))), 10, 900, "word " * 150),
    ):
        Figure.savefig(figure, io.BytesIO(), format="png")
        whole = figure.bbox
        for axes in figure.axes:
            box = axes.get_tightbbox()
            assert box is not None and box.x0 >= whole.x0 and box.x1 <= whole.x1 and box.y1 <= whole.y1
        (note,) = [text for text in figure.texts if text.get_text().startswith("word")]
        assert note.get_window_extent().x1 <= whole.x1 and note.get_window_extent().y0 >= whole.y0
