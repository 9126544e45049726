# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The reliability diagram: how often a classifier is right against how sure it is, over how many images that rests on.

GMMC, Figures 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stic_fast.plots.looks import BLUE, DASHED, SKY, VERMILION, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Bins(Protocol):
    """What is drawn; `stic_fast.evaluation.calibration.Reliability` is one. Tensors and arrays both do."""

    @property
    def edges(self) -> Any:
        """(M + 1,), from 0 to 1."""

    @property
    def counts(self) -> Any:
        """(M,), images in each bin."""

    @property
    def accuracy(self) -> Any:
        """(M,), NaN where a bin is empty."""

    @property
    def confidence(self) -> Any:
        """(M,), NaN where a bin is empty."""

    @property
    def ece(self) -> float:
        """The expected calibration error, from 0 to 1."""


def reliability_figure(bins: Bins, *, title: str = "Reliability") -> Figure:
    r"""Draw accuracy by confidence, its gap to perfect calibration, and below it the number of images in each bin.

    A bar is the accuracy of a bin; the hatched piece reaches from there to the bin's mean confidence, so its length,
    weighted with the counts below, is the calibration error that the title gives.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> bins = {"edges": [0, 0.5, 1], "counts": [0, 4], "accuracy": [np.nan, 0.75], "confidence": [np.nan, 0.8]}
    >>> figure = reliability_figure(SimpleNamespace(**bins, ece=0.05), title="digits")
    >>> figure.axes[0].get_title(loc="left")
    'digits\ncalibration error 5.00 % (2 bins, 4 images)'
    """
    from matplotlib.ticker import PercentFormatter

    edges, counts, accuracy, confidence = (
        np.asarray(values, dtype=np.float64) for values in (bins.edges, bins.counts, bins.accuracy, bins.confidence)
    )
    figure = new_figure(6.4, 7.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    finish(above, y="accuracy: images classified rightly (%)")
    finish(below, x="confidence, max p(y|x) (%)", y="images in a bin")
    _plot_bars(above, edges, counts, accuracy, confidence)
    _plot_counts(below, edges, counts, accuracy, confidence)
    numbers = f"{100 * bins.ece:.2f} % ({len(counts)} bins, {int(counts.sum()):,} images)"
    above.set_title(f"{title}\ncalibration error {numbers}", loc="left", fontsize=12, pad=26)
    spacing: dict[str, Any] = {"borderpad": 0.0, "handlelength": 1.4}
    above.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=9, **spacing)
    above.set(xlim=(0, 1), ylim=(0, 1))
    for axis in (above.yaxis, below.xaxis):
        axis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    return figure


def _plot_bars(axes: Axes, edges: Any, counts: Any, accuracy: Any, confidence: Any) -> None:
    there = counts > 0
    left, widths = edges[:-1][there], np.diff(edges)[there]
    right, sure = accuracy[there], confidence[there]
    axes.bar(left, right, widths, align="edge", color=SKY, edgecolor="white", linewidth=0.8, label="accuracy")
    gap: dict[str, Any] = {"facecolor": "none", "edgecolor": VERMILION, "hatch": "////", "linewidth": 0.8}
    axes.bar(left, sure - right, widths, bottom=right, align="edge", label="gap to mean confidence", **gap)
    axes.plot([0, 1], [0, 1], label="perfect calibration", **DASHED)


def _plot_counts(axes: Axes, edges: Any, counts: Any, accuracy: Any, confidence: Any) -> None:
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color="0.55", edgecolor="white", linewidth=0.8)
    means = (("mean accuracy", accuracy, BLUE, "-"), ("mean confidence", confidence, VERMILION, ":"))
    if counts.sum():
        for name, values, colour, style in means:
            mean = float(np.nansum(values * counts) / counts.sum())
            axes.axvline(mean, color=colour, linestyle=style, linewidth=1.8, label=f"{name} {100 * mean:.1f} %")
        axes.legend(loc="upper left", frameon=False, fontsize=9)
    filled = counts[counts > 0]
    if len(filled) > 1 and filled.max() > 50 * filled.min():  # most images of a trained network are in the last bin
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylabel("images in a bin\n(log scale)")
