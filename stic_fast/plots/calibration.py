# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Calibration along training, and reliability at its end, before and after temperature scaling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stic_fast.errors import InputError
from stic_fast.plots.curves import BLACK, COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pass = Mapping[str, Any]
"""A pass and its scores: pass, n, NLL, ECE, NLL-T, ECE-T, temperature, reliability, reliability_after."""
COLUMNS = 4
LARGEST_DOT = 90.0
"""In square points, of a bin that holds all images."""
LEAST_SHOWN = 1e-4
"""Nats, or a share: where the logarithmic axes begin at the lowest."""


def calibration_figure(runs: Mapping[str, Sequence[Pass]]) -> Figure:
    r"""NLL and ECE of every run by pass above, and the reliability of every run's last pass below.

    Dots are bins, filled as they are and hollow after scaling, the larger the more images they hold.

    Raises:
        InputError: nothing to draw.

    >>> bins = {"edges": [0, 1], "counts": [4], "accuracy": [0.75], "confidence": [0.8]}
    >>> scores = {"NLL": 0.3, "ECE": 0.05, "NLL-T": 0.2, "ECE-T": 0.04, "temperature": 1.5}
    >>> last = {"pass": 1, "n": 4, **scores, "reliability": bins, "reliability_after": bins}
    >>> calibration_figure({"digits": [last]}).axes[2].get_title(loc="left")
    'digits, pass 1\ntemperature 1.5; ECE 5.0 % → 4.0 %'
    """
    from matplotlib.figure import Figure

    if not runs or not all(runs.values()):
        raise InputError("there is no pass to draw; train the run first")
    rows = -(-len(runs) // COLUMNS)
    columns = min(COLUMNS, len(runs))
    figure = Figure(figsize=(max(9.6, 3.2 * columns), 3.7 + 3.4 * rows), layout="constrained", facecolor="white")
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.7, 3.4 * rows))
    _plot_passes(halves[0, 0], runs)
    all_axes = halves[1, 0].subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, (name, passes), colour in zip(all_axes, runs.items(), itertools.cycle(COLOURS), strict=False):
        _plot_reliability(axes, name, passes[-1], colour)
    for axes in all_axes[len(runs) :]:
        axes.remove()
    return figure


def _plot_passes(figure: Any, runs: Mapping[str, Sequence[Pass]]) -> None:
    from matplotlib.lines import Line2D

    for axes, key, title in zip(
        figure.subplots(1, 2),
        ("NLL", "ECE"),
        ("negative log-likelihood, nats: lower is better", "calibration error: lower is better"),
        strict=True,
    ):
        for (name, passes), colour in zip(runs.items(), itertools.cycle(COLOURS), strict=False):
            ends = [each["pass"] for each in passes]
            look: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 1.5}
            axes.plot(ends, [max(LEAST_SHOWN, each[key]) for each in passes], label=name, **look)
            after = [max(LEAST_SHOWN, each[f"{key}-T"]) for each in passes]
            axes.plot(ends, after, **look | {"linestyle": "--", "markerfacecolor": "white"})
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}" if key == "NLL" else lambda share, _: f"{100 * share:g} %")
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("passes of training")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y", color="0.92", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = figure.axes[0].get_legend_handles_labels()
    styles = [Line2D([], [], color="0.4", linestyle=style) for style in ("-", "--")]
    figure.legend(
        [*handles, *styles],
        [*names, "as it is", "after temperature scaling"],
        loc="outside upper center",
        ncols=min(6, len(names) + 2),
        frameon=False,
        fontsize=9,
    )


def _plot_reliability(axes: Axes, name: str, last: Pass, colour: str) -> None:
    axes.plot([0, 1], [0, 1], color=BLACK, linestyle=":", linewidth=1.0)
    for key, face in (("reliability", colour), ("reliability_after", "white")):
        bins = last[key]
        there = [at for at, count in enumerate(bins["counts"]) if count]
        sure, right = ([bins[axis][at] for at in there] for axis in ("confidence", "accuracy"))
        sizes = [LARGEST_DOT * math.sqrt(bins["counts"][at] / last["n"]) for at in there]  # the smallest still seen
        axes.scatter(sure, right, s=sizes, facecolor=face, edgecolor=colour, zorder=3, clip_on=False)
    axes.set_title(
        f"{name}, pass {last['pass']}\ntemperature {_short(last['temperature'])}; "
        f"ECE {100 * last['ECE']:.1f} % → {100 * last['ECE-T']:.1f} %",
        loc="left",
        fontsize=9.5,
    )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    axes.set_xlabel("confidence, max p(y|x)", fontsize=9)
    axes.set_ylabel("share that is right", fontsize=9)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _short(temperature: float) -> str:
    """Two digits that count, and no exponent.

    >>> _short(0.6318), _short(10_590.0)
    ('0.63', '10,590')
    """
    return f"{temperature:,.0f}" if temperature >= 10 else f"{temperature:.2g}"
