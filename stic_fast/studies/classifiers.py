# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether training by STIC makes any classifier better: several networks, each trained with and without (figure 7)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import tyro

from stic_fast.counts import Count, Options, Seed
from stic_fast.errors import InputError
from stic_fast.plots.classifiers import Curve, classifiers_figure
from stic_fast.studies.pass_ends import logged_accuracies
from stic_fast.studies.sampling_error import error_of_mean, error_of_share
from stic_fast.studies.study import StudyResult
from stic_fast.studies.trainings import check_settings, trained
from stic_fast.training import (
    AugmentationConfig,
    NetworkConfig,
    Progress,
    RunConfig,
    RunFolder,
    SoftmaxConfig,
    SticConfig,
    open_run,
)
from stic_fast.training.footprint import check_training_fits
from stic_fast.training.runs import device

LAST = 0.05  # share of the iterations, the last ones, whose mean is a training's final loss
RECORDS = 1_000  # of a loss curve, about, unless the run logged more often
WAYS = ("plain", "stic")
LOSSES = {"plain": "loss", "stic": "loss_real"}  # of real images, as metrics.jsonl has it
NAMED = re.compile(r"wrn-(?P<depth>\d+)-(?P<width>\d+)|convnet-(?P<only_width>\d+)")

Settings = TypeVar("Settings")
Measured = tuple[float, float]
"""A value and its standard error."""


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
        curves = {name: {way: _curve(paths[name, way], way, base, test) for way in WAYS} for name in names}
        rows = {
            name: {
                **{way: _row(curves[name][way], seconds[name, way]) for way in WAYS},
                "stic_minus_plain": _difference(curves[name]["stic"], curves[name]["plain"]),
            }
            for name in names
        }
        for name, row in rows.items():
            progress.say(f"{name}: {_told(row['stic_minus_plain'])}")
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
        return StudyResult(classifiers_figure(curves, base.iterations, _notes(base, run.model.num_classes)), record)

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
        return self.run / "studies" / "classifiers" / f"{name}-{way}{seeded}"


def classifiers_in(listed: str) -> list[str]:
    """The names in a list with commas.

    Raises:
        InputError: there is none, or one stands twice.

    >>> classifiers_in("wrn-10-1, convnet-2")
    ['wrn-10-1', 'convnet-2']
    """
    names = [part.strip() for part in listed.split(",") if part.strip()]
    if not names or len(set(names)) < len(names):
        raise InputError(f"--classifiers must name networks, each once, got {listed!r}; such as wrn-10-1,convnet-1")
    return names


def network_named(name: str, own: NetworkConfig) -> NetworkConfig:
    """The network of that name, with the strides of a run's own and, where its layers are the same, its Gram layers.

    Raises:
        InputError: no network has such a name.

    >>> network_named("convnet-2", NetworkConfig(depth=10, width=1, gram_layers=("conv9",)))
    NetworkConfig(architecture='convnet', depth=10, width=2, strides=(1, 2, 2), gram_layers=())
    """
    found = NAMED.fullmatch(name)
    if found is None:
        raise InputError(f"--classifiers knows no {name!r}; names are wrn-DEPTH-WIDTH and convnet-WIDTH")
    if found["only_width"]:
        network = replace(own, architecture="convnet", width=int(found["only_width"]))
    else:
        network = replace(own, architecture="wide_resnet", depth=int(found["depth"]), width=int(found["width"]))
    alike = (network.architecture, network.depth) == (own.architecture, own.depth)
    return network if alike else replace(network, gram_layers=())


def part(kind: type[Settings], whole: Any) -> Settings:
    """The settings of `whole` that a kind of settings has too.

    >>> part(AugmentationConfig, SticConfig().augmentation).noise_std
    0.3
    """
    return kind(**{field.name: getattr(whole, field.name) for field in fields(kind)})  # type: ignore[arg-type]


def final(iterations: Sequence[int], values: Sequence[float], total: int) -> Measured:
    """The mean over the last twentieth of `total` iterations, with the standard error over the batches logged there.

    >>> final([1, 99, 100], [9.0, 1.0, 3.0], 100)
    (2.0, 1.0)
    """
    last = [value for at, value in zip(iterations, values, strict=True) if at > (1 - LAST) * total]
    table = torch.tensor(last, dtype=torch.float64)
    return float(table.mean()), error_of_mean(table)


def _curve(path: Path, way: str, base: SticConfig, test: int) -> Curve:
    """What a training logged."""
    folder = RunFolder(path)
    logged = folder.logged("train", LOSSES[way], "accuracy")
    at, losses = [record["iteration"] for record in logged], [record[LOSSES[way]] for record in logged]
    total = base.passes * base.iterations
    accuracies = logged_accuracies(folder)
    return Curve(
        at,
        losses,
        final(at, losses, total),
        final(at, [record["accuracy"] for record in logged], total),
        {number: (share, error_of_share(share, test)) for number, share in sorted(accuracies.items())},
    )


def _row(curve: Curve, seconds: float | None) -> dict[str, Any]:
    """A training in the record."""
    *_, newest = curve.accuracies
    return {
        "final_loss": _written(curve.final_loss),
        "final_training_accuracy": _written(curve.final_accuracy),
        "test_accuracy": _written(curve.accuracies[newest]),
        "training_seconds": seconds,
        "test_accuracy_by_pass": {str(number): share for number, (share, _) in curve.accuracies.items()},
        "curve": {"iteration": list(curve.iterations), "loss": [float(f"{loss:.5g}") for loss in curve.losses]},
    }


def _difference(stic: Curve, plain: Curve) -> dict[str, dict[str, float]]:
    """STIC's numbers less the plain ones, with errors as if the two were independent."""
    pairs = {
        "final_loss": (stic.final_loss, plain.final_loss),
        "final_training_accuracy": (stic.final_accuracy, plain.final_accuracy),
        "test_accuracy": (stic.accuracies[max(stic.accuracies)], plain.accuracies[max(plain.accuracies)]),
    }
    return {
        name: _written((one - other, math.hypot(error, other_error)))
        for name, ((one, error), (other, other_error)) in pairs.items()
    }


def _written(measured: Measured) -> dict[str, float]:
    return {"value": measured[0], "error": measured[1]}


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
