# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Whether chains that start near a drawn image come back to it or draw another one of its class (STIC, figure 3a)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from stic_fast.counts import NotNegative, Range
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError
from stic_fast.evaluation.records import subset
from stic_fast.noise_addresses import NEIGHBOURS, SAMPLES
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.plots.diversity import Anchor, Curve, diversity_figure
from stic_fast.sampling import Recipe, continue_chains, draw_hard
from stic_fast.studies.judged import Judged
from stic_fast.studies.options import JudgingOptions
from stic_fast.studies.sampling_error import error_of_mean, error_of_share
from stic_fast.studies.study import StudyResult
from stic_fast.training import ImageSampler, Progress, TrainedRun, open_run

MOST_ANCHORS = 100
"""Neighbour k of anchor a has the number k·MOST_ANCHORS + a among the chains of neighbours."""
SHOWN = 2  # neighbours of each anchor at each radius, in the picture
FRESH, OTHERS, REAL = (
    "fresh canvases, same condition",
    "samples of a class, each its own condition",
    "real images of a class",
)
REAL_IMAGES = 200  # of a class at most, of which all pairs are measured


@dataclass(frozen=True)
class Diversity(JudgingOptions):
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
        """Draws anchors and neighbours, and measures.

        Raises:
            InputError: a run or an option that cannot be used.
        """
        radii = _checked_radii(self.radii)
        run = open_run(self.run)
        total = run.model.num_classes
        one = None if self.label is None else find_class(self.label, run.splits.train.class_names)
        place = torch.arange(self.anchors)
        numbers = place if one is None else place * total + one
        classes = numbers % total
        judged = self.judged(run, self.anchors * self.neighbours, progress)
        image_sampler = self.image_sampler(run)
        anchors = image_sampler.of_numbers(numbers, progress)
        starts, ends = self._around(run, anchors, numbers, radii, progress)
        *near, fresh = self._measure(judged, anchors, classes, starts, ends)
        references = {FRESH: fresh, **self._references(run, judged, image_sampler, classes, progress)}
        names = run.splits.train.class_names
        shown = [
            Anchor(names[label], anchors[number], ends[:, number, :SHOWN])
            for number, label in enumerate(classes.tolist())
        ]
        record = {
            "judge": judged.judge.name,
            "steps": image_sampler.resolved.steps,
            "anchors": [names[label] for label in classes.tolist()],
            "neighbours": self.neighbours,
            "radii": [{"radius": radius, **found} for radius, found in zip(radii, near, strict=True)],
            "references": references,
        }
        return StudyResult(diversity_figure(radii, shown, *_curves(near, references)), record)

    def _around(
        self, run: TrainedRun, anchors: Tensor, numbers: Tensor, radii: Sequence[float], progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """Where the chains start and what they draw, uint8 (radii + 1, anchors, neighbours, channels, height, width).

        The last ones start from fresh canvases. All chains of an anchor have its condition. A neighbour has one id, so
        one direction away from the anchor and one noise along the chain, at every radius: only the radius tells its
        images apart.
        """
        device = next(run.model.parameters()).device
        splits, recipe = run.splits.train.to(device), self.image_sampler(run).resolved
        numbers = numbers.to(device)
        condition = draw_hard(
            splits.labels,
            numbers % run.model.num_classes,
            SAMPLES.of(numbers),
            references=recipe.references,
            seed=self.seed,
        )
        rows = torch.arange(len(numbers), device=device).repeat_interleave(self.neighbours)
        ids = NEIGHBOURS.of(torch.arange(self.neighbours, device=device).repeat(len(numbers)) * MOST_ANCHORS + rows)
        starts = _starts(to_unit(anchors.to(device))[rows], radii, ids, recipe, run.config.sampler.clamp, self.seed)
        ends = []
        batches = -(-len(ids) // self.batch_size)
        with progress.task("drawing neighbours", len(starts) * batches * recipe.steps) as advance:
            for start in starts:
                for batch in torch.split(torch.arange(len(ids), device=device), self.batch_size):
                    end, _ = continue_chains(
                        run.model,
                        recipe,
                        start[batch],
                        condition[rows][batch],
                        splits.images,
                        splits.labels,
                        seed=self.seed,
                        chain_ids=ids[batch],
                        on_step=advance,
                    )
                    ends.append(end)
        shape = len(starts), len(numbers), self.neighbours, *anchors.shape[1:]
        before, after = (to_bytes(torch.cat(states)).cpu().view(shape) for states in (starts, ends))
        return before, after

    def _measure(
        self, judged: Judged, anchors: Tensor, classes: Tensor, starts: Tensor, ends: Tensor
    ) -> list[dict[str, float]]:
        """For each set of starts: distances from the anchor before and after the chain, and the share of its class."""
        centre = to_unit(anchors)[:, None]
        found = []
        for start, end in zip(starts, ends, strict=True):
            before, after = ((to_unit(images) - centre).flatten(2).norm(dim=2) for images in (start, end))
            right = (
                judged.probabilities(end.flatten(0, 1)).argmax(1).view(len(anchors), -1) == classes[:, None]
            ).float()
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

    def _references(
        self, run: TrainedRun, judged: Judged, image_sampler: ImageSampler, classes: Tensor, progress: Progress
    ) -> dict[str, dict[str, float]]:
        """The same of independent samples and of real images: mean distance within a class, share of the class."""
        kinds = torch.unique(classes)
        fresh = (torch.arange(self.neighbours) + MOST_ANCHORS)[None] * run.model.num_classes + kinds[:, None]
        samples = image_sampler.of_numbers(fresh.flatten(), progress)
        samples = samples.view(*fresh.shape, *samples.shape[1:])
        real = [run.splits.train.images[run.splits.train.labels == kind] for kind in kinds]
        few = [subset(images, images, REAL_IMAGES, self.seed)[0] for images in real]
        test = run.splits.test
        of_kinds = torch.isin(test.labels, kinds)
        return {
            OTHERS: {
                "distance": _mean([_mean_distance(images) for images in samples]),
                "share": _share(judged, samples.flatten(0, 1), kinds.repeat_interleave(self.neighbours)),
            },
            REAL: {
                "distance": _mean([_mean_distance(images) for images in few]),
                "share": _share(judged, test.images[of_kinds], test.labels[of_kinds]),
            },
        }


def _starts(
    centre: Tensor, radii: Sequence[float], ids: Tensor, recipe: Recipe, clamp: tuple[float, float] | None, seed: int
) -> list[Tensor]:
    """For each radius anchor + radius·noise, float32 (chains, channels, height, width), then canvases."""
    where: dict[str, Any] = {"seed": seed, "chain_ids": ids, "stream": noise.Stream.CHAIN_INIT, "device": ids.device}
    away = noise.normal(centre.shape, **where)
    near = [(centre + radius * away).clamp(*clamp or (None, None)) for radius in radii]
    return [*near, recipe.of_images(centre.shape[1:]).space.start(ids, seed=seed)]


def _checked_radii(radii: Sequence[float]) -> list[float]:
    """The radii from small to large, each once."""
    if not radii:
        raise InputError("--radii names no radius; give some from 0 up, 2 is beyond any image")
    return sorted(set(radii))


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


def _curves(rows: list[dict[str, float]], references: dict[str, dict[str, float]]) -> tuple[Curve, Curve]:
    """What is drawn of them: distances, and shares."""

    def curve(key: str, **more: Any) -> Curve:
        points = [(row[key], row[f"{key}_error"]) for row in rows]
        return Curve(points, {name: values[key] for name, values in references.items()}, **more)

    return curve("distance", start=[row["start"] for row in rows]), curve("share")
