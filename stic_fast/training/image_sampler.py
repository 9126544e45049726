# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Fresh images of a trained run: the j-th of a class depends on the seed alone, not on what is drawn beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.data import ImageSet
from stic_fast.models import Layout, Precision
from stic_fast.noise_addresses import PATHS, SAMPLES
from stic_fast.ops.checks import MAX_SEED
from stic_fast.sampling import ChainState, Condition, Recipe, draw_hard, draw_images, interpolate
from stic_fast.sampling.sampler import OnStep
from stic_fast.training.footprint import check_drawing_fits
from stic_fast.training.progress import Progress
from stic_fast.training.runs import TrainedRun


@dataclass(frozen=True)
class ImageSampler:
    """How a run draws: seed, chain length and batch; images come out the same in batches of any size.

    Raises:
        InputError: a setting out of its range.
    """

    run: TrainedRun
    seed: int
    steps: int | None = None
    """Of each chain; the run's own if None."""
    batch_size: int = 250
    precision: Precision | None = None
    """Of the network's passes; the run's own if None."""
    layout: Layout | None = None
    """Of the network's weights and features; the run's own if None."""
    recipe: Recipe | None = None
    """In place of the run's own."""
    on_step: OnStep | None = None
    """Called with a batch's state after each step."""

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)
        check_count("seed", self.seed, least=0, most=MAX_SEED - 1)
        if self.steps is not None:
            check_count("steps", self.steps, least=0)

    def of_classes(self, classes: Tensor, progress: Progress, places: Tensor | None = None) -> Tensor:
        """One image per entry of `classes`, int64 (images,); uint8 (images, channels, height, width) on the CPU.

        Args:
            places: draw only those at these places, int64.
        """
        numbers = occurrence(classes) * self.run.model.num_classes + classes
        return self.of_numbers(numbers if places is None else numbers[places], progress)

    def of_numbers(self, numbers: Tensor, progress: Progress) -> Tensor:
        """Images by their numbers, int64 (images,): number i is the (i // C)-th of class i mod C of C classes."""
        numbers = numbers.to(self.images.labels.device)
        return self.of_chains(numbers % self.run.model.num_classes, SAMPLES.of(numbers), progress)

    def of_chains(self, classes: Tensor, ids: Tensor, progress: Progress, starts: Tensor | None = None) -> Tensor:
        """Images of these classes by chains of these ids, both int64 (images,) on the model's device.

        Args:
            starts: images that the chains start at, see `draw_images`.
        """
        images, references = self.images, self.resolved.references
        condition = draw_hard(images.labels, classes, ids, references=references, seed=self.seed)
        return self._draw(images, condition, ids, progress, starts)

    def of_paths(self, start: int, end: int, paths: int, shares: Sequence[float], progress: Progress) -> Tensor:
        """Paths from one class to another, uint8 (paths·len(shares), channels, height, width), path by path.

        All frames of a path share canvas and noise, so that only what they are asked for tells them apart.

        Args:
            shares: of class `end` along the path, 0 .. 1.
        """
        images, references = self.images, self.resolved.references
        ids = PATHS.ids(2 * paths, device=images.labels.device)
        condition = interpolate(
            images.labels, start, end, paths, shares, references=references, seed=self.seed, chain_ids=ids
        )
        return self._draw(images, condition, ids[:paths].repeat_interleave(len(shares)), progress)

    @property
    def images(self) -> ImageSet:
        """What its chains refer to, on the model's device."""
        return self.run.images_for(self.resolved).to(next(self.run.model.parameters()).device)

    @property
    def resolved(self) -> Recipe:
        """The recipe that images are drawn by: the run's own or the one in its place, with what else was asked for."""
        asked = {"steps": self.steps, "precision": self.precision, "layout": self.layout}
        changes = {name: value for name, value in asked.items() if value is not None}
        return (self.recipe or self.run.recipe).with_samplers(**changes)

    def told(self, advance: Callable[..., None], state: ChainState) -> None:
        """After each step of its chains: moves a display on, and calls `on_step`."""
        advance()
        if self.on_step:
            self.on_step(state)

    def _draw(
        self, images: ImageSet, condition: Condition, ids: Tensor, progress: Progress, starts: Tensor | None = None
    ) -> Tensor:
        recipe = self.resolved
        check_drawing_fits(self.run.config, self.run.images.outline, recipe, len(ids), self.batch_size, ids.device)
        batches = -(-len(ids) // self.batch_size)
        with progress.task(f"drawing {len(ids)} images", batches * recipe.steps) as advance:
            return draw_images(
                self.run.model,
                recipe,
                condition,
                images.images,
                images.labels,
                seed=self.seed,
                chain_ids=ids,
                batch_size=self.batch_size,
                on_step=partial(self.told, advance),
                starts=starts,
            ).cpu()


def occurrence(classes: Tensor) -> Tensor:
    """How often each entry has stood before it.

    >>> occurrence(torch.tensor([5, 2, 5, 5]))
    tensor([0, 0, 1, 2])
    """
    order = torch.argsort(classes, stable=True)
    counts = torch.bincount(classes)
    within = torch.arange(len(classes), device=classes.device) - (counts.cumsum(0) - counts)[classes[order]]
    return torch.empty_like(order).index_copy(0, order, within)
