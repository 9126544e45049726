# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a network's features are worth to one who has few labels (Introspective Generative Modeling, section 4.5)."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from stic_fast.counts import MOST, Count, Range
from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.models.frozen import frozen
from stic_fast.models.weights import device_of
from stic_fast.pixels import to_unit
from stic_fast.plots.looks import BLUE, finish, new_figure
from stic_fast.studies.other_runs import open_beside, paths_in
from stic_fast.studies.study import RunStudy, StudyResult
from stic_fast.training import Progress, TrainedRun, build_network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS, GRID = 3, 4
"""Convolutions that are read, and the places a side that each is pooled to."""
VALIDATION, MOST_VALIDATION = 6, 10_000
"""One training image in so many chooses the penalty, at most so many."""
POOL = 10_000
"""Of the other training images, those that labelled ones are drawn from, at most."""
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""C of the L2-SVM, for features whose mean square norm is 1."""
CHOOSING = 3
"""Draws whose errors on the validation images choose it."""
Errors = Mapping[str, Any]
"""layers, dimensions, penalty, and the test errors of all draws with their mean and standard deviation."""


@dataclass(frozen=True)
class Features(RunStudy):
    """Classify with few labels by an L2-SVM on a network's features, beside random ones and raw pixels."""

    # Further runs on the same images, with commas between.
    others: str | None = None
    # Labelled images that a classifier learns from.
    labels: Count = 1000
    # Draws of labelled images, each with a classifier of its own.
    draws: Annotated[int, Range(2, MOST)] = 100

    def compute(self, progress: Progress) -> StudyResult:
        """Reads the images with every network, and trains and tests the SVMs.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        runs = open_beside(self.opened(), paths_in(self.others), self.data)
        splits = next(iter(runs.values())).splits
        if splits.train.num_classes < 2:
            raise InputError(f"{splits.train.name} has one class; a classifier needs two")
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(splits.train), generator=generator)
        held_out = min(len(order) // VALIDATION, MOST_VALIDATION)
        validation, pool = order[:held_out], order[held_out:][:POOL]
        if self.labels > len(pool):
            raise InputError(f"labels must be at most {len(pool)}, the images to draw from, got {self.labels}")
        rows = [torch.randperm(len(pool), generator=generator)[: self.labels] for _ in range(self.draws)]
        parts = [
            (splits.train.images[pool], splits.train.labels[pool]),
            (splits.train.images[validation], splits.train.labels[validation]),
            (splits.test.images, splits.test.labels),
        ]
        networks = self._networks(runs)
        found: dict[str, dict[str, Any]] = {}
        with progress.task("SVMs", len(networks) * self.draws) as advance:
            for name, network in networks.items():
                layers = () if network is None else layers_read(network)
                sets = [(features_of(network, layers, images, self.batch_size), labels) for images, labels in parts]
                errors, penalty = _errors(sets, rows, self.seed, advance)
                found[name] = {
                    "layers": list(layers),
                    "dimensions": sets[0][0].shape[1],
                    "penalty": penalty,
                    "errors": errors,
                    "mean": statistics.fmean(errors),
                    "spread": statistics.stdev(errors),
                }
        record = {"labels": self.labels, "draws": self.draws, "n_test": len(splits.test), "features": found}
        return StudyResult(features_figure(found, self.labels, self.draws), record)

    def _networks(self, runs: Mapping[str, TrainedRun]) -> dict[str, Classifier | None]:
        """The networks by name, the first run's as it was before training among them; None for raw pixels."""
        first, own = next(iter(runs.items()))
        untrained = build_network(own.config, own.images.outline).to(device_of(own.model, torch.empty(0)))
        trained = {name: run.model for name, run in runs.items()}
        return {**trained, f"{first}, untrained": untrained, "raw pixels": None}


def layers_read(network: Classifier) -> tuple[str, ...]:
    """The last convolutions up to the last that a Gram term compares.

    >>> from stic_fast.models import WideResNet
    >>> layers_read(WideResNet(depth=10, width=1, num_classes=10))
    ('conv7', 'conv9', 'conv10')
    """
    names = network.layer_names
    return names[: names.index(network.gram_layers[-1]) + 1][-LAYERS:]


@torch.no_grad()
def features_of(
    network: Classifier | None, layers: Sequence[str], images: Tensor, batch_size: int
) -> NDArray[np.float32]:
    """Features (N, D) of images uint8 (N, C, H, W): the layers' largest values on a grid, or the pixels.

    >>> features_of(None, (), torch.zeros(2, 1, 8, 8, dtype=torch.uint8), 10).shape
    (2, 64)
    """
    if network is None:
        return to_unit(images).flatten(1).cpu().numpy()
    read = []
    with frozen(network):
        for batch in torch.split(images, batch_size):
            maps = network.logits_and_features(to_unit(batch).to(device_of(network, batch)), layers)[1]
            pooled = [adaptive_max_pool2d(each.float(), [min(GRID, side) for side in each.shape[2:]]) for each in maps]
            read.append(torch.cat([each.flatten(1) for each in pooled], 1).cpu())
    return torch.cat(read).numpy()


def _errors(
    sets: Sequence[tuple[NDArray[np.float32], Tensor]], rows: Sequence[Tensor], seed: int, advance: Any
) -> tuple[list[float], float]:
    """The test error of an SVM for each draw, and the penalty that the validation images chose for all.

    Args:
        sets: features and labels of the pool, the validation and the test images.
        rows: of the pool, the draws.
    """
    (pool, pool_labels), validation, test = ((features, labels.cpu().numpy()) for features, labels in sets)

    def error(draw: Tensor, penalty: float, judged: tuple[NDArray[np.float32], NDArray[Any]]) -> float:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC  # takes a second to import

        chosen = draw.numpy()
        centre = pool[chosen].mean(0)
        size = np.sqrt(np.square(pool[chosen] - centre).sum(1).mean()) or 1.0
        machine = LinearSVC(C=penalty, dual=True, random_state=seed, tol=1e-2, max_iter=2_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # at a penalty that the validation images then refuse
            machine.fit((pool[chosen] - centre) / size, pool_labels[chosen])
        return float((machine.predict((judged[0] - centre) / size) != judged[1]).mean())

    choices = {
        penalty: statistics.fmean(error(draw, penalty, validation) for draw in rows[:CHOOSING]) for penalty in PENALTIES
    }
    penalty = min(choices, key=lambda each: choices[each])
    found = []
    for draw in rows:
        found.append(error(draw, penalty, test))
        advance()
    return found, penalty


def features_figure(found: Mapping[str, Errors], labels: int, draws: int) -> Figure:
    """A dot for the mean error of each kind of features, with a bar of one standard deviation over the draws."""
    figure = new_figure(7.2, 1.3 + 0.5 * len(found))
    axes = figure.subplots()
    means, spreads = ([100 * each[key] for each in found.values()] for key in ("mean", "spread"))
    places = range(len(found))
    axes.errorbar(means, list(places), xerr=spreads, fmt="o", color=BLUE, markersize=7, capsize=3)
    for place, mean, spread in zip(places, means, spreads, strict=True):
        axes.annotate(
            f"{mean:.1f} ± {spread:.1f}", (mean, place), xytext=(0, 7), textcoords="offset points", ha="center"
        )
    axes.set_yticks(list(places), [f"{name} ({each['dimensions']:,})" for name, each in found.items()])
    axes.set_ylim(len(found) - 0.5, -0.7)
    axes.set_xlim(0, 1.15 * max(mean + spread for mean, spread in zip(means, spreads, strict=True)))
    finish(
        axes,
        title=f"test error of an L2-SVM on {labels:,} labels: lower is better",
        x=f"% of test images, mean and standard deviation over {draws} draws",
        grid="x",
    )
    return figure
