# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether chains that start near a drawn image come back to it or draw another one of its class (STIC, figure 3a)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from torch import Tensor

from stic_fast.counts import NotNegative, Range
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError
from stic_fast.evaluation.records import subset
from stic_fast.pixels import to_unit
from stic_fast.plots.image_rows import Block, plot_image_rows, row_labels, tile_size
from stic_fast.plots.lines import Line, LinePanel, plot_lines
from stic_fast.plots.looks import SKY, VERMILION, Band, stack
from stic_fast.studies.drawing_with import MOST_ANCHORS, around, steps_of
from stic_fast.studies.judged import Judged
from stic_fast.studies.sampling_error import error_of_mean, error_of_share
from stic_fast.studies.study import JudgingStudy, StudyResult
from stic_fast.training import Progress, TrainedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 2  # neighbours of each anchor at each radius, in the picture
FRESH, OTHERS, REAL = (
    "fresh canvases, same condition",
    "samples of a class, each its own condition",
    "real images of a class",
)
REAL_IMAGES = 200  # of a class at most, of which all pairs are measured
QUANTITIES = {
    "distance": "distance from the anchor\n(Euclidean, pixels in [−1, 1])",
    "share": "read as the anchor's class",
}
CURVES_HEIGHT, LEAST_WIDTH = 2.8, 8.0  # inches
APART = 0.25  # of a tile, between one radius and the next


@dataclass(frozen=True)
class Diversity(JudgingStudy):
    """Start chains around drawn images, nearer and farther, and see what becomes of them."""

    # Drawn images to start around.
    anchors: Annotated[int, Range(1, MOST_ANCHORS)] = 5
    # Their class, by number or name; None for one class after the other.
    label: str | None = None
    # Standard deviations of the noise that is added to an anchor, pixels being from −1 to 1.
    radii: tuple[NotNegative, ...] = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
    # Chains around each anchor at each radius; the picture shows the first two.
    neighbours: Annotated[int, Range(2, 10_000)] = 16

    def compute(self, progress: Progress) -> StudyResult:
        """Draws anchors and neighbours, and measures."""
        radii = sorted(set(self.radii))
        if not radii:
            raise InputError("--radii names no radius; give some from 0 up, 2 is beyond any image")
        run = self.opened()
        total, names = run.model.num_classes, run.class_names
        one = None if self.label is None else find_class(self.label, names)
        place = torch.arange(self.anchors)
        numbers = place if one is None else place * total + one
        classes = numbers % total
        judged = self.judged(run, self.anchors * self.neighbours, progress)
        sampler = self.image_sampler(run)
        anchors = sampler.of_numbers(numbers, progress)
        starts, ends = around(sampler, anchors, numbers, neighbours=self.neighbours, radii=radii, progress=progress)
        *near, fresh = _measure(judged, anchors, classes, starts, ends)
        references = {FRESH: fresh, **self._references(run, judged, torch.unique(classes), progress)}
        record: dict[str, Any] = {
            "judge": judged.judge.name,
            "steps": steps_of(sampler),
            "anchors": [names[label] for label in classes.tolist()],
            "neighbours": self.neighbours,
            "radii": [{"radius": radius, **found} for radius, found in zip(radii, near, strict=True)],
            "references": references,
        }
        return StudyResult(
            diversity_figure(radii, record["anchors"], anchors, ends[:, :, :SHOWN], near, references), record
        )

    def _references(
        self, run: TrainedRun, judged: Judged, kinds: Tensor, progress: Progress
    ) -> dict[str, dict[str, float]]:
        """The same of independent samples and of real images: mean distance within a class, share of the class."""
        fresh = (torch.arange(self.neighbours) + MOST_ANCHORS)[None] * run.model.num_classes + kinds[:, None]
        samples = self.image_sampler(run).of_numbers(fresh.flatten(), progress)
        real = [run.splits.train.images[run.splits.train.labels == kind] for kind in kinds]
        few = [subset(images, images, REAL_IMAGES, self.seed)[0] for images in real]
        test = run.splits.test
        of_kinds = torch.isin(test.labels, kinds)
        return {
            OTHERS: {
                "distance": _mean(
                    [_mean_distance(images) for images in samples.view(*fresh.shape, *samples.shape[1:])]
                ),
                "share": _share(judged, samples, kinds.repeat_interleave(self.neighbours)),
            },
            REAL: {
                "distance": _mean([_mean_distance(images) for images in few]),
                "share": _share(judged, test.images[of_kinds], test.labels[of_kinds]),
            },
        }


def _measure(judged: Judged, anchors: Tensor, classes: Tensor, starts: Tensor, ends: Tensor) -> list[dict[str, float]]:
    """For each set of starts: distances from the anchor before and after the chain, and the share of its class."""
    centre = to_unit(anchors)[:, None]
    found = []
    for start, end in zip(starts, ends, strict=True):
        before, after = ((to_unit(images) - centre).flatten(2).norm(dim=2) for images in (start, end))
        read = judged.probabilities(end.flatten(0, 1)).argmax(1).view(len(anchors), -1)
        right = (read == classes[:, None]).float()
        share = float(right.mean())
        found.append(
            {
                "start": float(before.mean()),
                "distance": float(after.mean()),
                "distance_error": error_of_mean(after.mean(1)),
                "share": share,
                "share_error": max(error_of_mean(right.mean(1)), error_of_share(share, right.numel())),
            }
        )
    return found


def _mean_distance(images: Tensor) -> float:
    """Between two different ones of uint8 images (N, C, H, W), Euclidean in [−1, 1]; NaN for fewer than two.

    >>> _mean_distance(torch.tensor([0, 255, 255], dtype=torch.uint8).view(3, 1, 1, 1))  # 2, 2 and 0
    1.3333333730697632
    """
    return float(torch.pdist(to_unit(images).flatten(1)).mean())


def _mean(values: Sequence[float]) -> float:
    """Of those that are there."""
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def _share(judged: Judged, images: Tensor, labels: Tensor) -> float:
    """Of images that the judge reads as their class; NaN without any."""
    return float((judged.probabilities(images).argmax(1) == labels).float().mean()) if len(images) else math.nan


def diversity_figure(
    radii: Sequence[float],
    names: Sequence[str],
    anchors: Tensor,
    ends: Tensor,
    near: Sequence[Mapping[str, float]],
    references: Mapping[str, Mapping[str, float]],
) -> Figure:
    """A row of images for each anchor, by growing radius, and two panels of curves below.

    Args:
        names: classes of the anchors.
        anchors: uint8 (A, C, H, W).
        ends: uint8 (len(radii) + 1, A, shown, C, H, W).
        near: what was measured at each radius.
        references: the same of other images.
    """
    across, down = tile_size(anchors)
    rows, shown = len(anchors), ends.shape[2]
    columns = 1 + (len(radii) + 1) * (shown + APART)
    tile = max(across, LEAST_WIDTH / columns)
    bands = [Band(0.7, rows * tile * down / across), Band(0.7, CURVES_HEIGHT, columns=2)]
    figure, (tiles, *curves) = stack(tile * columns, bands, left=1.0, below=0.6)
    lefts = [1 + APART + number * (shown + APART) for number in range(len(radii) + 1)]
    blocks = [Block(end.flatten(0, 1), shown, at, at + shown, 0, rows) for at, end in zip(lefts, ends, strict=True)]
    names_of_columns = [*(f"{radius:g}" for radius in radii), "fresh canvas"]
    plot_image_rows(
        tiles,
        [Block(anchors, 1, 0, 1, 0, rows), *blocks],
        rows=row_labels(names),
        columns=[
            (0.5, "anchor"),
            *((at + shown / 2, name) for at, name in zip(lefts, names_of_columns, strict=True)),
        ],
        title="What chains draw from anchor + radius · noise, all with the anchor's condition: by radius",
    )
    tiles.set_ylabel("class asked for")
    for axes, (key, quantity) in zip(curves, QUANTITIES.items(), strict=True):
        points = [(row[key], row[f"{key}_error"]) for row in near]
        lines = [Line("what they draw (±2 standard errors)", radii, points, VERMILION)]
        if key == "distance":
            start = [(row["start"], math.nan) for row in near]
            lines.insert(0, Line("where the chains start", radii, start, SKY, {"marker": "s"}))
        levels = {name: values[key] for name, values in references.items()}
        x = "radius: standard deviation of the added noise"
        plot_lines(axes, LinePanel(lines, x=x, y=quantity, levels=levels, share=key == "share"))
        axes.legend(frameon=False, fontsize=8, loc="best")
        if key == "share":
            axes.set_ylim(top=1.01)
    return figure
