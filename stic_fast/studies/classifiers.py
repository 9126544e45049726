# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether training by STIC makes any classifier better: several networks, each trained with and without (figure 7)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from stic_fast.counts import Count, Options, Seed
from stic_fast.errors import InputError
from stic_fast.plots import looks
from stic_fast.plots.curves import smoothed
from stic_fast.plots.lines import WIDE, Line, LinePanel, plot_lines
from stic_fast.studies.pass_ends import logged_accuracies
from stic_fast.studies.sampling_error import Measured, mean_with_error, share_with_error
from stic_fast.studies.study import StudyResult
from stic_fast.studies.trainings import check_settings, classifiers_in, network_named, part, trained
from stic_fast.training import (
    AugmentationConfig,
    Progress,
    RunConfig,
    RunFolder,
    SoftmaxConfig,
    SticConfig,
    folder_of,
    open_run,
)
from stic_fast.training.footprint import check_training_fits
from stic_fast.training.runs import device

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAST = 0.05  # share of the iterations, the last ones, whose mean is a training's final loss
RECORDS = 1_000  # of a loss curve, about, unless the run logged more often
LOSSES = {"plain": "loss", "stic": "loss_real"}  # of real images, as metrics.jsonl has it
LOOK = {"plain": ("plain training", looks.BLUE), "stic": ("STIC", looks.VERMILION)}
SMOOTHING = 30  # a smoothed curve averages over this part of the training
PANEL, NARROWEST = 3.7, 7.4  # inches
BEYOND = 1.7  # factor by which the axis of the loss goes beyond the smoothed losses
WIDE_RANGE = 2_000.0  # the largest over the smallest loss from which only powers of ten are labelled
ASIDE = 0.04  # passes by which the two points after a pass stand apart
NOTE_SIZE = 8  # points
LETTER = 0.56 * NOTE_SIZE  # points that one takes
Pair = Mapping[str, Mapping[str, Any]]
"""What is in the record of both trainings of a classifier, "plain" and "stic"."""


@dataclass(frozen=True)
class Classifiers(Options):
    """Train several classifiers, each plainly and by STIC, and compare losses and test accuracies."""

    # Folder of a trained STIC run, whose data, seed, optimiser and augmentation all trainings take.
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    # Networks, with commas: wrn-DEPTH-WIDTH or convnet-WIDTH.
    classifiers: str = "wrn-10-1,wrn-16-1,convnet-1"
    # Passes of each training; None for the run's own.
    passes: Count | None = None
    # Iterations of a pass; None for the run's own.
    iterations: Count | None = None
    # Added to the run's own seed, for other weights, batches and noise.
    seed: Seed = 0

    def compute(self, progress: Progress) -> StudyResult:
        """Trains what is not trained yet, into RUN/studies/classifiers.

        Raises:
            InputError: a run or an option that cannot be used, or a training found there that had other settings.
        """
        run = open_run(self.run)
        if not isinstance(run.config, SticConfig):
            method, _ = run.folder.read_config()
            raise InputError(f"{self.run} is a run of method {method}, not stic; study a STIC run's training")
        base = replace(
            run.config,
            passes=run.config.passes if self.passes is None else self.passes,
            iterations=run.config.iterations if self.iterations is None else self.iterations,
            seed=run.config.seed + self.seed,
        )
        names = classifiers_in(self.classifiers)
        configs = {(name, way): config for name in names for way, config in self._configs(base, name).items()}
        paths = {training: self._path(*training) for training in configs}
        for training, config in configs.items():  # all of them before the first is trained
            check_settings(config, paths[training])
            check_training_fits(config, run.splits, device())
        seconds: dict[tuple[str, str], float | None] = {}
        for (name, way), config in configs.items():
            progress.say(f"{name}, {'by STIC' if way == 'stic' else 'plainly'}: {paths[name, way]}")
            seconds[name, way] = trained(config, paths[name, way], progress)
        test = len(run.splits.test)
        rows: dict[str, dict[str, Any]] = {}
        for name in names:
            pair = {way: _row(paths[name, way], way, base, test, seconds[name, way]) for way in LOSSES}
            rows[name] = {**pair, "stic_minus_plain": _difference(pair)}
            progress.say(f"{name}: {_told(rows[name]['stic_minus_plain'])}")
        record = {
            "training_seed": base.seed,
            "passes": base.passes,
            "iterations_of_a_pass": base.iterations,
            "batch_size": base.batch_size,
            "noise_std": base.augmentation.noise_std,
            "test_images": test,
            "logits": {"plain": run.model.num_classes, "stic": run.model.num_logits},
            "classifiers": rows,
        }
        return StudyResult(classifiers_figure(rows, base.iterations, test, _notes(base, run.model.num_classes)), record)

    def _configs(self, base: SticConfig, name: str) -> dict[str, RunConfig]:
        """Both trainings of a classifier, which differ in their method alone.

        Their first weights are drawn by one law and seed but are not the same: a logit more takes more draws.
        The plain one's samples climb log p(y|x) alone, as those of `stic-fast train softmax` do.
        """
        often = min(base.log_every, max(1, base.passes * base.iterations // RECORDS))
        stic = replace(base, network=network_named(name, base.network), log_every=often)
        augmentation = part(AugmentationConfig, stic.augmentation)
        plain = replace(part(SoftmaxConfig, stic), augmentation=augmentation, sampler=replace(stic.sampler, eps2=0.0))
        return {"plain": plain, "stic": stic}

    def _path(self, name: str, way: str) -> Path:
        """Of a training; those of another seed have it in their name."""
        seeded = f"-seed-{self.seed}" if self.seed else ""
        return folder_of(self.run).path / "studies" / "classifiers" / f"{name}-{way}{seeded}"


def final(iterations: Sequence[int], values: Sequence[float], total: int) -> Measured:
    """The mean over the last twentieth of `total` iterations, with the standard error over the batches logged there.

    >>> final([1, 99, 100], [9.0, 1.0, 3.0], 100)
    Measured(value=2.0, error=1.0)
    """
    last = [value for at, value in zip(iterations, values, strict=True) if at > (1 - LAST) * total]
    return mean_with_error(torch.tensor(last, dtype=torch.float64))


def _row(path: Path, way: str, base: SticConfig, test: int, seconds: float | None) -> dict[str, Any]:
    """What a training logged, as it is in the record."""
    folder, total = RunFolder(path), base.passes * base.iterations
    logged = folder.logged("train", LOSSES[way], "accuracy")
    at, losses = [record["iteration"] for record in logged], [record[LOSSES[way]] for record in logged]
    by_pass = dict(sorted(logged_accuracies(folder).items()))
    *_, newest = by_pass.values()
    return {
        "final_loss": final(at, losses, total)._asdict(),
        "final_training_accuracy": final(at, [record["accuracy"] for record in logged], total)._asdict(),
        "test_accuracy": share_with_error(newest, test)._asdict(),
        "training_seconds": seconds,
        "test_accuracy_by_pass": {str(number): share for number, share in by_pass.items()},
        "curve": {"iteration": at, "loss": [float(f"{loss:.5g}") for loss in losses]},
    }


def _difference(pair: Pair) -> dict[str, dict[str, float]]:
    """STIC's numbers less the plain ones, with errors as if the two were independent."""
    found = {}
    for name in ("final_loss", "final_training_accuracy", "test_accuracy"):
        stic, plain = pair["stic"][name], pair["plain"][name]
        error = math.hypot(stic["error"], plain["error"])
        found[name] = {"value": stic["value"] - plain["value"], "error": error}
    return found


def _told(difference: dict[str, dict[str, float]]) -> str:
    """What STIC changed.

    >>> _told({"final_loss": {"value": 0.1, "error": 0.02}, "test_accuracy": {"value": -0.01, "error": 0.002}})
    'with STIC the final loss on real images changes by +0.1 ± 0.04, the test accuracy by -1 ± 0.4 points'
    """
    loss, accuracy = difference["final_loss"], difference["test_accuracy"]
    return (
        f"with STIC the final loss on real images changes by {loss['value']:+.3g} ± {2 * loss['error']:.2g}, "
        f"the test accuracy by {100 * accuracy['value']:+.3g} ± {200 * accuracy['error']:.2g} points"
    )


def _notes(base: SticConfig, classes: int) -> str:
    """The small print."""
    beside = "mixed images and fakes" if base.vrm == "on" else "fakes"
    return (
        f"Both trainings of a classifier read the same batches of {base.batch_size} real images, with instance noise "
        f"of {base.augmentation.noise_std:g} (seed {base.seed}); STIC reads {beside} besides, the fakes blank in the "
        f"first pass and drawn by the classifier itself from the second on. STIC's loss is the cross-entropy over "
        f"{classes + 1} logits, the fake class among them, the plain one's over {classes}: one more logit can only "
        f"raise a network's loss. Pale: single batches; bold: their running mean. Final loss: the mean over the last "
        f"{100 * LAST:g} % of the iterations. "
        "± and bars: two standard errors of one training; another seed may differ by more."
    )


def classifiers_figure(rows: Mapping[str, Pair], iterations: int, test: int, notes: str = "") -> Figure:
    """A column per classifier: the smoothed loss per iteration, and below it the test accuracy after each pass.

    Args:
        rows: by name of the classifier, as in the record.
        iterations: of a pass.
        test: images.
        notes: small print below.
    """
    width = max(NARROWEST, PANEL * len(rows))
    lines = textwrap.wrap(notes, int((width - 0.5) * 72 / LETTER))
    figure = looks.new_figure(width, 7.0 + 0.15 * len(lines))
    grid = looks.panels(figure, 2 * len(rows), columns=len(rows), sharey="row")
    upper, lower = grid[: len(rows)], grid[len(rows) :]
    smooth: list[NDArray[np.float64]] = []
    for (name, row), loss, accuracy in zip(rows.items(), upper, lower, strict=True):
        pair = {way: row[way] for way in LOOK if way in row}
        smooth += _plot_losses(loss, pair, iterations)
        looks.finish(
            loss, title=_heading(f"{name}\nfinal loss", pair, "final_loss"), x="iteration (grey lines: a pass begins)"
        )
        title = _heading("test accuracy after the last pass", pair, "test_accuracy", percent=True)
        plot_lines(accuracy, LinePanel(_accuracies(pair, test), title, "passes of training", share=True))
        accuracy.margins(x=0.08)
        for axes in (loss, accuracy):
            looks.whole_numbers(axes.xaxis, 6)
    shown = np.concatenate(smooth)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if len(shown):  # an axis about the smoothed losses of all panels; single batches may lie beyond it
        low, high = shown.min() / BEYOND, shown.max() * BEYOND
        looks.logarithmic(upper[0], dense=high / low < WIDE_RANGE)
        upper[0].set_ylim(low, high)
    upper[0].set_ylabel("loss on real training images (nats)")
    lower[0].set_ylabel("test images classified rightly")
    looks.legend(figure)
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=NOTE_SIZE, color="0.35")
    return figure


def _plot_losses(axes: Axes, pair: Pair, iterations: int) -> list[NDArray[np.float64]]:
    """Both losses as recorded, pale, and smoothed; returns these."""
    smooth = []
    for way, row in pair.items():
        (label, colour), at, losses = LOOK[way], row["curve"]["iteration"], row["curve"]["loss"]
        smooth.append(smoothed_by_pass(at, losses, iterations))
        axes.plot(at, losses, color=colour, linewidth=0.5, alpha=looks.RAW_ALPHA, zorder=1)
        axes.plot(at, smooth[-1], color=colour, linewidth=1.7, label=label)
    for number in range(1, max(len(row["test_accuracy_by_pass"]) for row in pair.values())):
        axes.axvline(number * iterations, color="0.85", linewidth=0.8, zorder=0)
    return smooth


def smoothed_by_pass(at: Sequence[int], losses: Sequence[float], iterations: int) -> NDArray[np.float64]:
    """The losses averaged over their neighbours of the same pass: at a new pass STIC's loss jumps.

    >>> smoothed_by_pass([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0], 2).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    begins = np.flatnonzero(np.diff((np.asarray(at) - 1) // iterations)) + 1
    window = len(losses) // SMOOTHING | 1
    return np.concatenate([smoothed(part, window) for part in np.split(np.asarray(losses), begins)])


def _accuracies(pair: Pair, test: int) -> list[Line]:
    """Test accuracies by pass, those of the two trainings a little apart."""
    lines = []
    for (way, row), aside in zip(pair.items(), np.linspace(-ASIDE, ASIDE, len(pair)), strict=True):
        by_pass = row["test_accuracy_by_pass"]
        points = [share_with_error(share, test) for share in by_pass.values()]
        lines.append(Line(LOOK[way][0], [int(number) + aside for number in by_pass], points, LOOK[way][1]))
    return lines


def _heading(words: str, pair: Pair, key: str, *, percent: bool = False) -> str:
    """Words, and the numbers that both trainings end with."""
    factor, unit = (100, " %") if percent else (1, "")
    told = {way: _with_error(factor * row[key]["value"], factor * row[key]["error"]) for way, row in pair.items()}
    return "\n".join([words, *(f"{LOOK[way][0]}: {number}{unit}" for way, number in told.items())])


def _with_error(value: float, error: float) -> str:
    """A value with two standard errors, to the digits that they allow.

    >>> _with_error(0.12345, 0.0061), _with_error(2.0, math.nan)
    ('0.123 ± 0.012', '2')
    """
    if math.isnan(error) or error <= 0:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(WIDE * error)))
    return f"{value:.{digits}f} ± {WIDE * error:.{digits}f}"
