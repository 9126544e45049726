# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The picture of a report: how far ahead of its rivals each op is, and throughput against size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.results import Row
from benchmarks.row_names import COMPILED, COPY, EAGER, OWN, SCALING, TORCHEBM
from benchmarks.tables import LEADING, variants, widest
from benchmarks.wording import digits, workers

COLOURS = {OWN: "#D55E00", EAGER: "#56B4E9", COMPILED: "#0072B2", TORCHEBM: "#009E73", COPY: "#000000"}
"""Of Okabe and Ito, which colour-blind readers tell apart."""
MARKERS = {OWN: "o", EAGER: "s", COPY: "^"}
FULL_PRECISION = ("float32", "uint8")
BAR_INCHES, SMALL = 0.135, 7.5


def draw(rows: Sequence[Row], title: str, path: Path) -> None:
    """Writes the picture; its format is that of the path's ending."""
    bars = [(row, found) for row in pictured(rows) if (found := gains(row))]
    count = sum(len(found) + 1 for _, found in bars)
    figure = Figure(figsize=(14, max(6.0, 1.9 + BAR_INCHES * count)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    draw_gains(left, bars)
    draw_throughput(right, [row for row in rows if row.op == SCALING])
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)


def pictured(rows: Sequence[Row]) -> list[Row]:
    """The rows that get bars: leading ops, full precision, one step size, the most threads."""
    found = [
        row
        for row in widest(rows)
        if any(row.case.endswith(name) or f"{name}, " in row.case for name in FULL_PRECISION)
        and "per chain" not in row.case
    ]
    return [row for op in LEADING for row in found if row.op == op]


def gains(row: Row) -> dict[str, float]:
    """Time of each rival over that of stic_fast, of its fastest variant where there are several."""
    found = {}
    for rival in (EAGER, COMPILED, TORCHEBM):
        ratios = [ratio.median for name in variants(row) if (ratio := row.ratio(rival, name))]
        if ratios:
            found[rival] = max(ratios)
    return found


def draw_gains(axes: Axes, bars: Sequence[tuple[Row, dict[str, float]]]) -> None:
    """Horizontal bars on a logarithmic axis, from 1."""
    place, ticks, labels = 0.0, [], []
    named = set()
    for row, found in bars:
        ticks.append(place + (len(found) - 1) / 2)
        labels.append(f"{row.op}\n{row.case.replace(' float32', '')}")
        for rival, gain in found.items():
            label = None if rival in named else f"{rival} / {OWN}"
            axes.barh(place, gain - 1, 0.9, left=1.0, color=COLOURS[rival], label=label)
            axes.annotate(
                f"{digits(gain)}x",
                (max(gain, 1.0), place),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
            )
            named.add(rival)
            place += 1
        place += 1
    axes.set_yticks(ticks, labels, fontsize=SMALL)
    axes.set_xscale("log")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda gain, _: f"{gain:g}x"))
    axes.margins(x=0.12, y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel(f"time over that of {OWN}: right of 1x, {OWN} is faster")
    axes.set_title("How far ahead")
    if named:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=len(named), frameon=False)


def draw_throughput(axes: Axes, rows: Sequence[Row]) -> None:
    """Elements per second of grmala_step_ by size, one line per implementation and number of threads."""
    counts = sorted({row.threads for row in rows})
    for name in (OWN, EAGER, COPY):
        for threads in counts:
            points = sorted(
                (row.facts["elements"], row.facts["elements"] / seconds)
                for row in rows
                if row.threads == threads and (seconds := row.median(name))
            )
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=COLOURS[name],
                    marker=MARKERS[name],
                    linestyle="-" if threads == counts[-1] else "--",
                    linewidth=2.2 if name == OWN else 1.3,
                    label=f"{name}, {workers(threads)}",
                )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(True, which="major", color="#dddddd")
    axes.set_xlabel("elements of the batch")
    axes.set_ylabel("elements per second")
    axes.set_title("grmala_step_, and a copy of as many bytes")
    if rows:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=3, frameon=False)
