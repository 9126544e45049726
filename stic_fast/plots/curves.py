# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The curves of a run, drawn from the records of its metrics.jsonl in the panels that its method describes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from stic_fast.plots.looks import BLACK, BLUE, RAW_ALPHA, SKY, VERMILION, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, Any]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

SMOOTHING, WIDEST_SMOOTHING = 50, 300  # a smoothed curve averages over 1/50 of the run, but at most 300 records
LEGEND_COLUMNS = 5
WIDE_RANGE = 50.0  # positive curves whose largest value is this many times the smallest get a logarithmic axis
BRIGHTEST = 0.88  # end of viridis in use: its last yellow is too pale on white


@dataclass(frozen=True)
class Series:
    """The numbers that records have by one name."""

    key: str
    label: str = ""
    colour: str = BLUE
    kind: str = "train"
    """Of the records, see `training_figure`."""
    smoothed: bool = True
    """Whether a mean over neighbours is drawn, the numbers themselves faintly behind it."""


@dataclass(frozen=True)
class Panel:
    """Series against the iteration."""

    title: str
    unit: str
    series: tuple[Series, ...]
    scale: Literal["linear", "log if wide", "share"] = "log if wide"
    """Logarithmic where all values are positive and lie far apart; in percent for shares from 0 to 1."""

    def beside(self, *series: Series, unit: str = "") -> Panel:
        """The same panel with more series, and perhaps in another unit.

        >>> [each.key for each in LOSS.beside(Series("loss_margin", "margin")).series]
        ['loss', 'loss_margin']
        """
        return replace(self, series=(*self.series, *series), unit=unit or self.unit)


@dataclass(frozen=True)
class ChainPanel:
    """One series of records of kind "chain" against the chain's step, a line for each pass."""

    title: str
    unit: str
    key: str


Panels = Sequence[Panel | ChainPanel]

LOSS = Panel("Loss", "loss", (Series("loss", "total", BLACK),))
ACCURACY = Panel(
    "Accuracy",
    "images classified rightly (%)",
    (
        Series("accuracy", "training batches", SKY),
        Series("test_accuracy", "test set", VERMILION, kind="evaluation", smoothed=False),
    ),
    scale="share",
)
CHAINS = (
    ChainPanel("log p(y|x) along the chains", "mean of chains (nats)", "logp"),
    ChainPanel("Gram loss along the chains", "mean of chains", "gram_loss"),
    ChainPanel("Gradient of log p(y|x)", "mean norm (nats per unit of x in [−1, 1])", "grad_logp_norm"),
    ChainPanel("Gradient of the Gram loss", "mean norm (per unit of x in [−1, 1])", "grad_gram_norm"),
)


def training_curves(metrics: Sequence[Record], panels: Panels, path: str | PathLike[str]) -> None:
    """Write `training_figure(metrics, panels)` as a PNG at path, whole or not at all.

    Raises:
        InputError: for a path that does not end in ".png".
        OSError: where the file cannot be written; an older file at path is then still whole.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     training_curves([{"kind": "train", "iteration": 1, "loss": 2.3}], [LOSS], f"{folder}/curves.png")
    ...     [file.name for file in Path(folder).iterdir()]
    ['curves.png']
    """
    save_figure(training_figure(metrics, panels), path)


def training_figure(metrics: Sequence[Record], panels: Panels) -> Figure:
    """Draw a run's records as panels, two in a row, without pyplot and without touching matplotlib's global state.

    Records are those of metrics.jsonl in the order written. A record that jumps back to an earlier iteration (a run
    resumed or rolled back) replaces what had been written from there on. Anything missing, null or not finite leaves a
    gap; a panel with nothing to show says "no data yet".

    Args:
        metrics: mappings with "kind" and "iteration" (counted over the whole run) and "pass", and beside them numbers:
            for kind "train" the terms that the method's loss logs; for kind "evaluation" what it finds at the end of a
            pass; for kind "chain" its "step" and means over chains.
        panels: which of the numbers are drawn, such as a method's `curves`.

    >>> figure = training_figure([{"kind": "chain", "pass": 2, "step": 0, "logp": -4.5, "gram_loss": None}], CHAINS)
    >>> [len(axes.lines) for axes in figure.axes]
    [1, 0, 0, 0]
    """
    # Here and not above: matplotlib takes half a second to import, which only those who draw should wait for.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    records = surviving(metrics)
    rows = max(1, -(-len(panels) // 2))
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(11.0, 0.2 + 3.8 * rows), layout=layout, facecolor="white")
    places: list[Axes] = list(figure.subplots(rows, 2, squeeze=False).flat)
    for spare in places[len(panels) :]:
        spare.remove()
    of_chains = []
    for axes, panel in zip(places, panels, strict=False):
        if isinstance(panel, Panel):
            plot_panel(axes, panel, records)
        else:
            of_chains.append((axes, panel))
    _plot_chains(figure, of_chains, _chains_by_pass(records))
    return figure


def plot_panel(axes: Axes, panel: Panel, records: Sequence[Record]) -> None:
    """The panel's series against the iteration, and where passes begin."""
    from matplotlib.ticker import PercentFormatter

    for series in panel.series:
        curve = _curve([record for record in records if record.get("kind") == series.kind], "iteration", series.key)
        plot = _plot_smoothed if series.smoothed else _plot
        plot(axes, curve, series.colour, series.label or None)
    if panel.scale == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _finish(axes, panel.title, "iteration", panel.unit)
    if panel.scale == "log if wide":
        _logarithmic_if_wide(axes)
    _mark_passes(axes, [record for record in records if record.get("kind") == "train"])


def _plot_chains(
    figure: Figure, panels: Sequence[tuple[Axes, ChainPanel]], chains: Mapping[int, Sequence[Record]]
) -> None:
    colours = _pass_colours(figure, [axes for axes, _ in panels], chains)
    steps = f"chain step (pass {next(iter(chains))})" if len(chains) == 1 else "chain step"
    for axes, panel in panels:
        for number, chain in chains.items():
            _plot(axes, _curve(chain, "step", panel.key), colours[number])
        _finish(axes, panel.title, steps, panel.unit)
        _logarithmic_if_wide(axes)


def surviving(metrics: Iterable[Record]) -> list[Record]:
    """The records without those that a later jump back to an earlier iteration has overtaken."""
    kept: list[Record] = []
    latest = -math.inf
    for record in metrics:
        if record.get("kind") == "train":
            iteration = _number(record, "iteration")
            if iteration <= latest:
                kept = [old for old in kept if not _number(old, "iteration") >= iteration]
            latest = iteration
        kept.append(record)
    return kept


def _chains_by_pass(records: Iterable[Record]) -> dict[int, list[Record]]:
    """The latest chain of every pass: records of rising "step"; a step that does not rise begins a new chain."""
    chains: dict[int, list[Record]] = {}
    for record in records:
        number = _number(record, "pass")
        if record.get("kind") != "chain" or math.isnan(number):
            continue
        chain = chains.setdefault(int(number), [])
        if chain and not _number(record, "step") > _number(chain[-1], "step"):
            chain.clear()
        chain.append(record)
    return dict(sorted(chains.items()))


def _number(record: Record, key: str) -> float:
    """The record's value as a float; NaN where it is missing, null or not finite."""
    value = record.get(key)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else math.nan


def _curve(records: Sequence[Record], x: str, y: str) -> Curve:
    points = [(_number(record, x), _number(record, y)) for record in records]
    table = np.array([point for point in points if not math.isnan(point[0])], dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Centred means over `window` values, an odd number, of those that are there; NaN stays NaN.

    >>> smoothed(np.array([0.0, 3.0, 6.0, np.nan, 1.0]), 3).tolist()
    [1.5, 3.0, 4.5, nan, 1.0]
    """
    there = np.isfinite(values)
    kernel = np.ones(window)
    sums = np.convolve(np.where(there, values, 0.0), kernel, mode="full")
    counts = np.convolve(there.astype(np.float64), kernel, mode="full")
    inner = slice(window // 2, window // 2 + len(values))
    return np.where(there, sums[inner] / np.maximum(counts[inner], 1.0), np.nan)


def _plot(axes: Axes, curve: Curve, colour: Any, label: str | None = None, **style: Any) -> None:
    if not np.isfinite(curve[1]).any():
        return
    if len(curve[0]) <= 30:  # few points are shown as points: a line through one alone cannot be seen
        style = {"marker": "o", "markersize": 3.5, **style}
    axes.plot(*curve, color=colour, label=label, **{"linewidth": 1.5, **style})


def _plot_smoothed(axes: Axes, curve: Curve, colour: str, label: str | None) -> None:
    window = min(len(curve[1]) // SMOOTHING, WIDEST_SMOOTHING) | 1
    if window > 1:
        _plot(axes, curve, colour, linewidth=0.6, alpha=RAW_ALPHA, zorder=1)
        curve = (curve[0], smoothed(curve[1], window))
    _plot(axes, curve, colour, label)


def _finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    labelled = bool(axes.get_legend_handles_labels()[1])
    axes.set_title(title, loc="left", fontsize=12, pad=22 if labelled else 6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    if not axes.lines:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "no data yet", transform=axes.transAxes, ha="center", va="center", color="0.5", fontsize=12)
        return
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    if labelled:  # one row between title and axes, where it cannot hide a curve
        spacing: dict[str, Any] = {"handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 1.2, "borderpad": 0.0}
        axes.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=LEGEND_COLUMNS, frameon=False, fontsize=9, **spacing
        )


def _logarithmic_if_wide(axes: Axes) -> None:
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.lines if line.get_alpha() != RAW_ALPHA]
    values = np.concatenate(drawn) if drawn else np.empty(0)
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        axes.set_yscale("log")


def _mark_passes(axes: Axes, train: Sequence[Record]) -> None:
    """A faint line where each pass but the first begins."""
    if not axes.lines:
        return
    latest = math.nan
    for record in train:
        number, iteration = _number(record, "pass"), _number(record, "iteration")
        if number > latest:
            axes.axvline(iteration, color="0.85", linewidth=0.8, zorder=0)
            axes.set_xlabel("iteration (grey lines: a new pass begins)")
        latest = latest if math.isnan(number) else number


def _pass_colours(figure: Figure, panels: Sequence[Axes], chains: Mapping[int, object]) -> dict[int, Any]:
    """Viridis from the first pass to the last, with a colour bar where there is more than one."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.ticker import MaxNLocator

    if not chains or not panels:
        return {}
    passes = range(min(chains), max(chains) + 1)
    colours = colormaps["viridis"](np.linspace(0.0, BRIGHTEST, len(passes)))
    if len(passes) > 1:
        edges = np.arange(passes[0], passes[-1] + 2) - 0.5
        scale = ScalarMappable(BoundaryNorm(edges, len(passes)), ListedColormap(list(colours)))
        ticks = [tick for tick in MaxNLocator(10, integer=True).tick_values(passes[0], passes[-1]) if tick in passes]
        figure.colorbar(scale, ax=list(panels), label="pass", ticks=ticks, aspect=50, pad=0.02)
    return dict(zip(passes, colours, strict=True))
