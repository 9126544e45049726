# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How far a classifier's confidence can be believed, along its training and after (GMMC, section 4.2, figure 4).

Before and after in two ways: pass by pass, as a classifier learns to draw; and with its logits as they are and over a
fitted temperature, which tells a classifier that ranks its answers badly from one that only has the wrong scale.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from stic_fast.counts import MOST, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.record_form import to_plain
from stic_fast.evaluation.records import classifier_record
from stic_fast.plots.lines import Line, LinePanel, plot_lines
from stic_fast.plots.looks import COLOURS, finish, legend, mark, new_figure, panels
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.pass_ends import pass_ends
from stic_fast.studies.study import RunStudy, StudyResult
from stic_fast.training import Progress, TrainedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pass = Mapping[str, Any]
"""A pass and its scores: pass, n, NLL, ECE, NLL-T, ECE-T, temperature, reliability, reliability_after."""
TITLES = {
    "NLL": "negative log-likelihood, nats: lower is better",
    "ECE": "calibration error: lower is better",
}
COLUMNS = 4
LARGEST_DOT = 90.0
"""In square points, of a bin that holds all images."""
LEAST_SHOWN = 1e-4
"""Nats, or a share: where the logarithmic axes begin at the lowest."""


@dataclass(frozen=True)
class Calibration(RunStudy):
    """Follow a classifier's calibration over its passes, as it is and after temperature scaling."""

    # Further runs on the same images, with commas between.
    others: str | None = None
    # Passes to look at at most, spread evenly over the training.
    passes: Annotated[int, Range(2, MOST)] = 11

    def compute(self, progress: Progress) -> StudyResult:
        """Reads the test images with the weights of every pass.

        Raises:
            InputError: a run or an option that cannot be used, or a run that ended diverged.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for name, run in open_beside(self.opened(), paths_in(self.others), self.data).items():
            ends = pass_ends(run.folder, self.passes, first=1)
            with progress.task(f"reading with {name}", len(ends)) as advance:
                found[name] = []
                for end in ends:
                    found[name].append({"pass": end, **self._read(run, end)})
                    advance()
        return StudyResult(calibration_figure(found), {"runs": found})

    def _read(self, run: TrainedRun, end: int) -> dict[str, Any]:
        model, test = run.after_pass(end).model, run.splits.test
        if len(test) < 2:
            raise InputError(f"{test.name} has {len(test)} test images; no temperature can be fitted to fewer than two")
        record = classifier_record(model, test.images, test.labels, model.num_classes, self.batch_size, seed=self.seed)
        if record.note:
            raise InputError(f"{run.folder.address}, pass {end}: {record.note}; take a run that did not")
        plain = to_plain(record)
        scores = {row.key: row.value for row in record.rows}
        return {"n": record.n, **scores, **{key: plain[key] for key in ("reliability", "reliability_after")}}


def calibration_figure(runs: Mapping[str, Sequence[Pass]]) -> Figure:
    """NLL and ECE of every run by pass above, and the reliability of every run's last pass below."""
    columns, rows = min(COLUMNS, len(runs)), -(-len(runs) // COLUMNS)
    figure = new_figure(max(9.6, 3.2 * columns), 3.7 + 3.4 * rows)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.7, 3.4 * rows))[:, 0]
    coloured = list(zip(runs.items(), itertools.cycle(COLOURS), strict=False))
    hollow = {"linestyle": "--", "markerfacecolor": "white"}
    for axes, (key, title) in zip(panels(above, 2, columns=2), TITLES.items(), strict=True):
        lines = [
            Line(label, [each["pass"] for each in passes], _points(passes, score), colour, look)
            for (name, passes), colour in coloured
            for label, score, look in ((name, key, {}), ("", f"{key}-T", hollow))
        ]
        plot_lines(axes, LinePanel(lines, title, "passes of training", share=key == "ECE", scale="log"))
    styles = [
        mark(label, color="0.4", linestyle=style)
        for label, style in (("as it is", "-"), ("after temperature scaling", "--"))
    ]
    legend(above, *styles, columns=6)
    grid = panels(below, len(runs), columns=columns, sharex=True, sharey=True)
    for axes, ((name, passes), colour) in zip(grid, coloured, strict=True):
        _plot_reliability(axes, name, passes[-1], colour)
    return figure


def _points(passes: Sequence[Pass], score: str) -> list[tuple[float, float]]:
    return [(max(LEAST_SHOWN, each[score]), math.nan) for each in passes]


def _plot_reliability(axes: Axes, name: str, last: Pass, colour: str) -> None:
    """Bins as dots, filled as they are and hollow after scaling, the larger the more images they hold."""
    axes.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1.0)
    for key, face in (("reliability", colour), ("reliability_after", "white")):
        bins = last[key]
        there = [at for at, count in enumerate(bins["counts"]) if count]
        sure, right = ([bins[axis][at] for at in there] for axis in ("confidence", "accuracy"))
        sizes = [LARGEST_DOT * math.sqrt(bins["counts"][at] / last["n"]) for at in there]  # the smallest still seen
        axes.scatter(sure, right, s=sizes, facecolor=face, edgecolor=colour, zorder=3, clip_on=False)
    numbers = f"temperature {_short(last['temperature'])}; ECE {100 * last['ECE']:.1f} % → {100 * last['ECE-T']:.1f} %"
    finish(
        axes,
        title=f"{name}, pass {last['pass']}\n{numbers}",
        x="confidence, max p(y|x)",
        y="share that is right",
        grid="both",
    )
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")


def _short(temperature: float) -> str:
    """Two digits that count, and no exponent.

    >>> _short(0.6318), _short(10_590.0)
    ('0.63', '10,590')
    """
    return f"{temperature:,.0f}" if temperature >= 10 else f"{temperature:.2g}"
