# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Histograms of out-of-distribution scores: images of the training distribution against each set of outliers.

GMMC, Table 4, in colours that everybody can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stic_fast.errors import InputError
from stic_fast.plots.looks import BLUE, VERMILION, finish, new_figure, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 40
Scores = Mapping[str, Mapping[str, Any]]  # score by name of score, then by name of set: tensors or arrays (N,)


def score_histograms(scores: Scores, *, inside: str, aurocs: Mapping[str, Mapping[str, float]] | None = None) -> Figure:
    r"""Draw one row for each score, one panel in it for each set of outliers, beside the same in-distribution images.

    A panel's bins span the finite values of its own two sets. Heights are shares of a set, so sets of different sizes
    can be compared.

    Args:
        scores: by label of the score (with its unit; it names the row's axis), then by name of the set, `inside` among
            them; higher is more like the training images.
        inside: the name of the in-distribution set.
        aurocs: the AUROC of each score and outlier set, written above its panel.

    Raises:
        InputError: no score, or a score without the set `inside` or without any other.

    >>> values = {"digits": [0.9, 0.8, 1.0], "noise": [0.2, 0.3, 0.1]}
    >>> figure = score_histograms({"max p(y|x)": values}, inside="digits", aurocs={"max p(y|x)": {"noise": 1.0}})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['noise\nAUROC 1.000']
    """
    if not scores:
        raise InputError("there is no score to draw; give at least one")
    for label, sets in scores.items():
        if inside not in sets or len(sets) < 2:
            raise InputError(
                f"score {label!r} must have the set {inside!r} and at least one of outliers, got {list(sets)}; "
                "score those sets too"
            )
    columns = max(len(sets) for sets in scores.values()) - 1
    figure = new_figure(max(2.4 * columns, 4.6) + 0.6, 2.5 * len(scores) + 0.4)
    rows = figure.subfigures(len(scores), 1, squeeze=False)[:, 0]
    for row, (label, sets) in zip(rows, scores.items(), strict=True):
        known = np.asarray(sets[inside], dtype=np.float64)
        outliers = [name for name in sets if name != inside]
        grid = panels(row, columns, columns=columns)
        for axes, name in zip(grid, outliers, strict=False):
            _plot_shares(axes, known, np.asarray(sets[name], dtype=np.float64))
            area = (aurocs or {}).get(label, {}).get(name)
            finish(axes, title=name if area is None else f"{name}\nAUROC {area:.3f}")
        for axes in grid[len(outliers) :]:
            axes.set_axis_off()
        row.supxlabel(label, fontsize=11)
        row.supylabel("share of the set (%)", fontsize=10)
    handles = rows[0].axes[0].get_legend_handles_labels()[0]
    rows[0].legend(handles, [inside, "outliers"], loc="outside upper left", ncols=2, frameon=False, fontsize=10)
    return figure


def _plot_shares(axes: Axes, known: NDArray[np.float64], outliers: NDArray[np.float64]) -> None:
    finite = np.concatenate([known[np.isfinite(known)], outliers[np.isfinite(outliers)]])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = [np.histogram(v[np.isfinite(v)], edges)[0] / max(len(v), 1) for v in (known, outliers)]
    axes.stairs(shares[0], edges, fill=True, color=BLUE, alpha=0.5, label="inside")
    axes.stairs(shares[1], edges, color=VERMILION, linewidth=1.6, label="outliers")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    axes.locator_params(nbins=4)
