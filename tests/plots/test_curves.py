# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The curves show the numbers recorded, whatever is missing among them, and leave matplotlib's state alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from stic_fast.errors import InputError
from stic_fast.plots import training_curves, training_figure
from stic_fast.plots.curves import LOSS as LOSS_PANEL
from stic_fast.plots.curves import Panel, Series, smoothed
from stic_fast.training import METHODS, Method, Stic

LOSS, ACCURACY, LOGP, GRAM, GRAD_LOGP, GRAD_GRAM = range(6)
LOSSES = ("loss", "loss_real", "loss_mixup", "loss_hard_fake", "loss_soft_fake")
PANELS = Stic.curves
Record = dict[str, Any]


def train(iteration: int, number: int = 1, **values: Any) -> Record:
    return {"kind": "train", "iteration": iteration, "pass": number, **values}


def chain(number: int, step: int, **values: Any) -> Record:
    return {"kind": "chain", "iteration": 0, "pass": number, "step": step, **values}


def run(passes: int, iterations: int) -> list[Record]:
    records: list[Record] = []
    for number in range(1, passes + 1):
        for step in range(5) if number > 1 else ():
            values = {"logp": step - 5.0, "gram_loss": 1 / (step + 1), "grad_logp_norm": 9.0, "grad_gram_norm": 0.1}
            records.append({**chain(number, step, **values), "iteration": (number - 1) * iterations})
        for iteration in range((number - 1) * iterations + 1, number * iterations + 1):
            terms = {key: 1.0 + iteration % 3 for key in LOSSES[: 5 if number > 1 else 4]}
            records.append(train(iteration, number, accuracy=0.5, **terms))
        evaluation = {"iteration": number * iterations, "pass": number, "test_accuracy": number / 10}
        records.append({"kind": "evaluation", **evaluation})
    return records


def texts(figure: Any) -> list[list[str]]:
    return [[text.get_text() for text in axes.texts] for axes in figure.axes[:6]]


def labelled(axes: Any) -> dict[str, tuple[list[float], list[float]]]:
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in lines}


def test_numbers_arrive_in_their_panels() -> None:
    axes = training_figure(run(passes=2, iterations=6), PANELS).axes
    losses = labelled(axes[LOSS])
    assert list(losses) == ["total", "real", "mixup", "hard fakes", "soft fakes"]
    assert losses["total"] == (list(range(1, 13)), [1.0 + iteration % 3 for iteration in range(1, 13)])
    assert np.isnan(losses["soft fakes"][1]).tolist() == [True] * 6 + [False] * 6
    assert labelled(axes[ACCURACY])["test set"] == ([6, 12], [0.1, 0.2])
    assert labelled(axes[ACCURACY])["training batches"][1] == [0.5] * 12
    for panel, values in ((LOGP, [-5, -4, -3, -2, -1]), (GRAM, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])):
        (line,) = axes[panel].lines
        assert list(line.get_xdata()) == [0, 1, 2, 3, 4]
        assert list(line.get_ydata()) == values
    assert set(axes[GRAD_LOGP].lines[0].get_ydata()) == {9.0}
    assert set(axes[GRAD_GRAM].lines[0].get_ydata()) == {0.1}


def test_axes_name_their_units_and_panels_without_data_say_so() -> None:
    figure = training_figure([], PANELS)
    assert texts(figure) == [["no data yet"]] * 6
    assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title(loc="left") for axes in figure.axes)
    assert "nats" in figure.axes[LOSS].get_ylabel()
    assert figure.axes[LOSS].get_xlabel() == "iteration"
    only_accuracy = training_figure([train(1, accuracy=0.3)], PANELS)
    assert texts(only_accuracy) == [["no data yet"], [], *[["no data yet"]] * 4]


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_methods_panels_have_a_place_and_its_numbers_a_line(method: type[Method[Any]]) -> None:
    shown = [panel for panel in method.curves if isinstance(panel, Panel)]
    keys = {(series.kind, series.key) for panel in shown for series in panel.series}
    assert len(keys) == sum(len(panel.series) for panel in shown)
    assert ("train", "loss") in keys
    assert "classifier" not in method.evaluation or {("train", "accuracy"), ("evaluation", "test_accuracy")} <= keys
    numbers = {"iteration": 1, "pass": 1, **{key: 0.5 for _, key in keys}}
    figure = training_figure([{"kind": kind, **numbers} for kind in ("train", "evaluation")], method.curves)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [panel.title for panel in method.curves]
    for axes, panel in zip(figure.axes, shown, strict=False):
        assert axes.get_ylabel() == panel.unit
        curves = [line for line in axes.lines if line.get_zorder() > 0]
        assert [line.get_color() for line in curves] == [series.colour for series in panel.series]
        looks = [(series.colour, series.label) for series in panel.series]
        assert len({colour for colour, _ in looks}) == len({label for _, label in looks}) == len(looks)


def test_panels_of_ones_own() -> None:
    margins = Panel("Margins", "share", (Series("margin", "least", smoothed=False),), scale="share")
    records = [train(iteration, loss=10.0**iteration, margin=iteration / 4) for iteration in (1, 2, 3)]
    loss, own = training_figure(records, [LOSS_PANEL, margins]).axes
    assert (loss.get_yscale(), own.get_yscale()) == ("log", "linear")
    assert labelled(own) == {"least": ([1, 2, 3], [0.25, 0.5, 0.75])}
    assert own.yaxis.get_major_formatter()(0.5) == "50%"
    assert not training_figure(records, []).axes


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), "high"])
def test_missing_and_unusable_values_leave_a_gap(bad: object) -> None:
    records = [train(1, loss=2.0), train(2, loss=bad), train(3), train(4, loss=1.0), {}, {"kind": "other"}, train(5)]
    records += [{"kind": "train", "loss": 3.0}, {"kind": "chain", "logp": 1.0}, {"kind": "evaluation"}]
    xs, ys = labelled(training_figure(records, PANELS).axes[LOSS])["total"]
    assert xs == [1, 2, 3, 4, 5]
    assert np.array_equal(ys, [2.0, np.nan, np.nan, 1.0, np.nan], equal_nan=True)
    assert texts(training_figure([train(1, loss=bad)], PANELS))[LOSS] == ["no data yet"]


def test_passes_are_marked_where_they_begin() -> None:
    axes = training_figure(run(passes=3, iterations=6), PANELS).axes[LOSS]
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_zorder() == 0]
    assert marks == [7, 13]


def test_each_pass_has_one_chain_of_its_own_colour_and_a_bar_tells_which() -> None:
    figure = training_figure(run(passes=4, iterations=2), PANELS)
    colours = [tuple(line.get_color()) for line in figure.axes[LOGP].lines]
    assert len(set(colours)) == 3
    assert len(figure.axes) == 7
    assert figure.axes[6].get_ylabel() == "pass"
    assert [tick for tick in figure.axes[6].get_yticks() if tick in (2, 3, 4)] == [2, 3, 4]
    single = training_figure(run(passes=2, iterations=2), PANELS)
    assert len(single.axes) == 6
    assert single.axes[LOGP].get_xlabel() == "chain step (pass 2)"


def test_a_chain_drawn_again_in_its_pass_replaces_the_first() -> None:
    records = [chain(2, step, logp=-9.0) for step in range(4)] + [chain(2, step, logp=-1.0) for step in range(3)]
    (line,) = training_figure(records, PANELS).axes[LOGP].lines
    assert list(line.get_ydata()) == [-1.0, -1.0, -1.0]


def test_a_run_rolled_back_shows_only_what_survived() -> None:
    lost = [train(iteration, loss=50.0) for iteration in (3, 4, 5)]
    lost += [{"kind": "evaluation", "iteration": 5, "test_accuracy": 0.1}]
    records = [train(1, loss=2.0), train(2, loss=1.9), {"kind": "evaluation", "iteration": 2, "test_accuracy": 0.6}]
    records += [*lost, train(3, loss=1.8), train(4, loss=1.7)]
    axes = training_figure(records, PANELS).axes
    assert labelled(axes[LOSS])["total"] == ([1, 2, 3, 4], [2.0, 1.9, 1.8, 1.7])
    assert labelled(axes[ACCURACY])["test set"] == ([2], [0.6])


def test_long_runs_are_smoothed_over_the_raw_curve() -> None:
    records = [train(iteration, loss=1.0 + iteration % 2) for iteration in range(1, 201)]
    raw, smooth = training_figure(records, PANELS).axes[LOSS].lines
    assert raw.get_zorder() < smooth.get_zorder()
    assert raw.get_alpha() < 0.5
    assert np.ptp(raw.get_ydata()) == 1.0
    assert 0 < np.ptp(smooth.get_ydata()) < 0.5


def test_smoothing_is_a_centred_mean_of_what_is_there() -> None:
    values = np.random.default_rng(0).normal(size=40)
    values[[3, 4, 20]] = np.nan
    wanted = [np.nanmean(values[max(0, at - 2) : at + 3]) for at in range(40)]
    wanted = [np.nan if np.isnan(value) else mean for value, mean in zip(values, wanted, strict=True)]
    np.testing.assert_allclose(smoothed(values, 5), wanted, rtol=1e-12)
    np.testing.assert_array_equal(smoothed(values, 1), values)
    assert smoothed(values[:2], 5).shape == (2,)


@pytest.mark.parametrize(("values", "scale"), [([1e3, 1.0], "log"), ([3.0, 1.0], "linear"), ([1e3, 0.0], "linear")])
def test_wide_positive_ranges_get_a_logarithmic_axis(values: list[float], scale: str) -> None:
    records = [chain(2, step, grad_logp_norm=value, logp=value) for step, value in enumerate(values)]
    axes = training_figure(records, PANELS).axes
    assert axes[GRAD_LOGP].get_yscale() == scale


def test_file_is_a_png_repeats_bitwise_and_replaces_an_older_one(tmp_path: Path) -> None:
    path, again = tmp_path / "curves.png", tmp_path / "again.png"
    path.write_bytes(b"older")
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        training_curves(run(passes=3, iterations=60), PANELS, path)
        training_curves(run(passes=3, iterations=60), PANELS, again)
        assert dict(matplotlib.rcParams) == before
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 1000
    assert path.read_bytes() == again.read_bytes()
    assert sorted(tmp_path.iterdir()) == [again, path]


def test_no_text_is_clipped_or_covers_other_text() -> None:
    figure = training_figure(run(passes=3, iterations=60), PANELS)
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    boxes = []
    for axes in figure.axes:
        legend = axes.get_legend()
        texts = [axes.xaxis.label, axes.yaxis.label, *(part for part in axes.get_children() if isinstance(part, Text))]
        boxes += [text.get_window_extent() for text in texts if text.get_text()]
        boxes += [legend.get_window_extent()] if legend else []
    assert len(boxes) == 6 * 3 + 2 + 1
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_errors_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"curves.pdf'; let it end in .png"):
        training_curves([], PANELS, tmp_path / "curves.pdf")
    with pytest.raises(FileNotFoundError):
        training_curves([], PANELS, tmp_path / "none" / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_loads_late_and_pyplot_never(tmp_path: Path) -> None:
    program = (
        "import sys; from stic_fast.plots import training_curves; early = 'matplotlib' in sys.modules;"
        "training_curves([], [], sys.argv[1]); print(early, 'matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "curves.png")]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["False", "False"]
