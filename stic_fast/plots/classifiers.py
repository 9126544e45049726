# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Classifiers, each trained plainly and by STIC: losses on real images above test accuracies (STIC, figure 7)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLUE, RAW_ALPHA, VERMILION, _smoothed
from stic_fast.plots.error_bars import WIDE, plot_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOK = {"plain": ("plain training", BLUE), "stic": ("STIC", VERMILION)}
SMOOTHING = 30  # a smoothed curve averages over this part of the training
PANEL, NARROWEST = 3.7, 7.4  # inches
BEYOND = 1.7  # factor by which the axis of the loss goes beyond the smoothed losses
WIDE_RANGE = 2_000.0  # the largest over the smallest loss from which only powers of ten are labelled
ASIDE = 0.04  # passes by which the two points after a pass stand apart
LINE = 14  # points that a line above a panel takes
NOTE_SIZE = 8  # points
LETTER = 0.56 * NOTE_SIZE  # points that one takes


class Curve(NamedTuple):
    """A training."""

    iterations: Sequence[int]
    losses: Sequence[float]
    """On real images (nats), at those iterations."""
    final_loss: tuple[float, float]
    """Mean over the last iterations, and its standard error."""
    final_accuracy: tuple[float, float]
    """The same of the share of real training images classified rightly."""
    accuracies: Mapping[int, tuple[float, float]]
    """Test accuracy and its standard error, by pass."""


def classifiers_figure(curves: Mapping[str, Mapping[str, Curve]], iterations: int, notes: str = "") -> Figure:
    """A column per classifier: the smoothed loss per iteration, and below it the test accuracy after each pass.

    Args:
        curves: by name of the classifier, then "plain" and "stic".
        iterations: of a pass.
        notes: small print below.

    Raises:
        InputError: nothing to draw.

    >>> curve = Curve([1, 2], [2.0, 1.0], (1.0, 0.1), (0.9, 0.01), {1: (0.9, 0.02)})
    >>> figure = classifiers_figure({"convnet-1": {"plain": curve, "stic": curve}}, 2)
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['iteration (grey lines: a pass begins)', 'passes of training']
    """
    from matplotlib.figure import Figure

    if not curves:
        raise InputError("there is no classifier to draw; name one")
    width = max(NARROWEST, PANEL * len(curves))
    lines = textwrap.wrap(notes, int((width - 0.5) * 72 / LETTER))
    figure = Figure(figsize=(width, 7.0 + 0.15 * len(lines)), layout="constrained", facecolor="white")
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(hspace=0.08)  # type: ignore[call-arg]
    panels = figure.subplots(2, len(curves), squeeze=False, sharey="row")
    for (name, pair), loss, accuracy in zip(curves.items(), *panels, strict=True):
        _plot_losses(loss, name, pair, iterations)
        _plot_accuracies(accuracy, pair)
    _scale_losses(panels[0, 0], curves, iterations)
    panels[0, 0].set_ylabel("loss on real training images (nats)")
    panels[1, 0].set_ylabel("test images classified rightly (%)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=10)
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=NOTE_SIZE, color="0.35")
    return figure


def _plot_losses(axes: Axes, name: str, pair: Mapping[str, Curve], iterations: int) -> None:
    for way, curve in pair.items():
        label, colour = LOOK[way]
        axes.plot(curve.iterations, curve.losses, color=colour, linewidth=0.5, alpha=RAW_ALPHA, zorder=1)
        axes.plot(curve.iterations, smoothed_by_pass(curve, iterations), color=colour, linewidth=1.7, label=label)
    passes = max(number for curve in pair.values() for number in curve.accuracies)
    for number in range(1, passes):
        axes.axvline(number * iterations, color="0.85", linewidth=0.8, zorder=0)
    finals = {way: _with_error(*curve.final_loss) for way, curve in pair.items()}
    _finish(axes, "final loss", finals, "iteration (grey lines: a pass begins)", name)


def smoothed_by_pass(curve: Curve, iterations: int) -> NDArray[np.float64]:
    """The losses averaged over their neighbours of the same pass: at a new pass STIC's loss jumps.

    >>> few = Curve([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0], (4.0, 0.1), (0.9, 0.1), {1: (0.9, 0.1)})
    >>> smoothed_by_pass(few, 2).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    of_pass = (np.asarray(curve.iterations) - 1) // iterations
    begins = np.flatnonzero(np.diff(of_pass)) + 1
    window = len(curve.losses) // SMOOTHING | 1
    return np.concatenate([_smoothed(part, window) for part in np.split(np.asarray(curve.losses), begins)])


def _scale_losses(axes: Axes, curves: Mapping[str, Mapping[str, Curve]], iterations: int) -> None:
    """A logarithmic axis about the smoothed losses of all panels; single batches may lie beyond it."""
    from matplotlib.ticker import LogLocator, NullLocator

    shown = np.concatenate([smoothed_by_pass(curve, iterations) for pair in curves.values() for curve in pair.values()])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    if len(shown):
        low, high = shown.min() / BEYOND, shown.max() * BEYOND
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < WIDE_RANGE else (1,)))
        axes.set_ylim(low, high)


def _plot_accuracies(axes: Axes, pair: Mapping[str, Curve]) -> None:
    aside = np.linspace(-ASIDE, ASIDE, len(pair))
    for (way, curve), shift in zip(pair.items(), aside, strict=True):
        label, colour = LOOK[way]
        places = [number + shift for number in curve.accuracies]
        plot_points(axes, places, list(curve.accuracies.values()), colour=colour, label=label, most=1.0)
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    newest = {way: curve.accuracies[max(curve.accuracies)] for way, curve in pair.items()}
    lasts = {way: f"{100 * value:.1f} ± {100 * WIDE * error:.1f} %" for way, (value, error) in newest.items()}
    _finish(axes, "test accuracy after the last pass", lasts, "passes of training")
    axes.margins(x=0.08)


def _finish(axes: Axes, quantity: str, numbers: Mapping[str, str], x_label: str, name: str = "") -> None:
    """Labels, and above the panel the numbers that it ends with, each in its curve's colour."""
    from matplotlib.ticker import MaxNLocator

    heading = f"{name}\n{quantity}" if name else quantity
    axes.set_title(heading, loc="left", fontsize=10, pad=6 + LINE * len(numbers))
    for line, (way, told) in enumerate(reversed(list(numbers.items()))):
        label, colour = LOOK[way]
        place: dict[str, Any] = {"xy": (0, 1), "xycoords": "axes fraction", "xytext": (0, 6 + LINE * line)}
        axes.annotate(f"{label}: {told}", **place, textcoords="offset points", fontsize=9.5, color=colour)
    axes.set_xlabel(x_label)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)


def _with_error(value: float, error: float) -> str:
    """A value with two standard errors, to the digits that they allow.

    >>> _with_error(0.12345, 0.0061), _with_error(2.0, math.nan)
    ('0.123 ± 0.012', '2')
    """
    if math.isnan(error) or error <= 0:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(WIDE * error)))
    return f"{value:.{digits}f} ± {WIDE * error:.{digits}f}"
