# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Counterfactuals: what would have to change in an image for the classifier to call it something else.

The run's own chain climbs from the image x towards a class y. After each step its state s gives a line of images
x + λ(s − x), λ from 0 to 1. If the one at the distance of the best so far is still called y, this line crosses the
classifier's boundary nearer to x, and bisection finds where:

    best ← min over steps and λ of ‖λ(s − x)‖₂ with p(y | x + λ(s − x)) ≥ confidence

One more forward pass a step, and a few where a nearer image is found. All images are rounded to bytes before they are
read, so that what is said of them holds for what is saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stic_fast.api.images import png
from stic_fast.atomic_write import atomic_write
from stic_fast.errors import InputError
from stic_fast.models import Classifier
from stic_fast.models.frozen import frozen
from stic_fast.noise_addresses import COUNTERFACTUALS
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.plots import image_grid, save_grid
from stic_fast.sampling import ChainState, continue_chains, draw_hard
from stic_fast.training import ImageSampler, Progress
from stic_fast.training.footprint import check_drawing_fits

NEARER = 0.99
"""A line is followed if it promises an image at less than this times the distance of the best so far."""
HALVINGS = 10
"""Of a line, to find where it crosses the boundary: to a thousandth of its length."""
TILE = 144
"""Pixels that a side of an image should roughly have in a picture."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """Images, and the nearest to each that the classifier calls `to`. All tensors are on the CPU.

    In a notebook it shows itself; `print` says in a sentence for each image what was found.
    """

    before: Tensor
    """The images, uint8 (N, C, H, W)."""
    after: Tensor
    """The nearest images found, uint8 (N, C, H, W); where none was, the one of the greatest p(to|x)."""
    to: int
    """The class asked for."""
    probabilities_before: Tensor
    """p(y|x) of the images over the real classes, float32 (N, classes)."""
    probabilities_after: Tensor
    """The same of the images found."""
    confidence: float
    """p(to|x) from which on an image is called `to`."""
    class_names: tuple[str, ...]
    noise: Tensor | None = None
    """Where images were given noise and led back: its level for each, 0 for one that stayed as it is; float64 (N,)."""

    @property
    def succeeded(self) -> Tensor:
        """Whether an image that is called `to` was found, bool (N,)."""
        return self.probabilities_after[:, self.to] >= self.confidence

    @property
    def l2(self) -> Tensor:
        """Euclidean distances between the images, float64 (N,), pixels being from −1 to 1."""
        return _norm(self._change())

    @property
    def linf(self) -> Tensor:
        """Largest changes of a pixel, float64 (N,), pixels being from −1 to 1."""
        return self._change().flatten(1).abs().amax(dim=1)

    def __len__(self) -> int:
        return len(self.before)

    def __repr__(self) -> str:
        return "\n".join(self._sentence(row) for row in range(len(self)))

    def picture(self) -> Image.Image:
        """A row for each image: before, after, and the difference, which is grey where nothing changed.

        Brighter is whiter and darker blacker, the largest change of an image being white or black.
        """
        return image_grid(**self._grid())

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes FILE.png, the picture; or FILE.npz with the tensors and distances by their names here.

        Returns:
            The path.

        Raises:
            InputError: another kind of file.
            OSError: it cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() == ".png":
            save_grid(target, **self._grid())
        elif target.suffix.lower() == ".npz":
            names = ["before", "after", "probabilities_before", "probabilities_after", "l2", "linf", "succeeded"]
            names += ["noise"] * (self.noise is not None)
            with atomic_write(target) as file:
                np.savez(file, **{name: getattr(self, name).numpy() for name in names})
        else:
            raise InputError(f"a counterfactual is written as .png or .npz, got {target}; let the name end so")
        return target

    def _repr_png_(self) -> bytes:
        return png(self.picture())

    def _change(self) -> Tensor:
        return (self.after.double() - self.before.double()) / 127.5

    def _grid(self) -> dict[str, Any]:
        change = self._change()
        largest = change.flatten(1).abs().amax(dim=1).clamp_min(torch.finfo(change.dtype).tiny)
        difference = to_bytes(change / largest.view(-1, 1, 1, 1))
        tiles = torch.stack([self.before, self.after, difference], dim=1).flatten(0, 1)
        called = [self.class_names[best] for best in self.probabilities_before.argmax(dim=1).tolist()]
        rows = [f"{name} to {self.class_names[self.to]}, L2 {l2:.2f}" for name, l2 in zip(called, self.l2, strict=True)]
        return {
            "images": tiles,
            "columns": 3,
            "scale": max(1, round(TILE / max(self.before.shape[2:]))),
            "row_labels": rows,
            "column_labels": ["before", "after", "difference (grey: 0)"],
        }

    def _sentence(self, row: int) -> str:
        name, before, after = self.class_names[self.to], self.probabilities_before[row], self.probabilities_after[row]
        best = int(before.argmax())
        had, has = float(before[self.to]), float(after[self.to])
        if not self.succeeded[row]:
            more = "steps" if self.noise is None else "noise"
            return (
                f"no image called {name} was found: its probability went from {had:.3f} to {has:.3f}, and "
                f"{self.confidence:g} was asked for; give more {more}, another seed, or a lower confidence"
            )
        if not self.l2[row]:
            return f"the image is called {name} as it is, with probability {had:.3f}"
        through = "" if self.noise is None else f"led back from noise of {self.noise[row]:.2f}; "
        return (
            f"called {self.class_names[best]} before (probability {float(before[best]):.3f}; {name} {had:.3f}), {name} "
            f"after ({has:.3f}); {through}distance L2 {self.l2[row]:.3f}, L∞ {self.linf[row]:.3f}, pixels from −1 to 1"
        )


def nearest_images(
    sampler: ImageSampler, images: Tensor, to: int, *, confidence: float, progress: Progress
) -> Counterfactual:
    """The nearest images found that the classifier calls `to`.

    Args:
        sampler: the run, and how its chains run.
        images: uint8 (N, C, H, W) of the run's shape, on the CPU.
        to: a class of the run.
        confidence: see `Counterfactual`.

    Raises:
        InputError: a confidence that is not between 0 and 1, or more images than there is memory for.
        Diverged: chains left the finite numbers.
    """
    check_confidence(confidence)
    run, recipe = sampler.run, sampler.resolved.of_images(images.shape[1:])
    device = next(run.model.parameters()).device
    check_drawing_fits(run.config, run.images.outline, recipe, len(images), sampler.batch_size, device)
    referred = sampler.images
    batches = torch.split(images, sampler.batch_size)
    searches = []
    with (
        frozen(run.model),
        progress.task("counterfactuals", len(batches) * recipe.steps) as advance,
    ):
        for part in batches:
            search = _Search(run.model, to_unit(part.to(device)), to, confidence)
            searches.append(search)
            # One id for all: what comes of an image does not depend on its place.
            ids = COUNTERFACTUALS.ids(1, device=device).expand(len(part)).contiguous()
            asked = torch.full_like(ids, to)

            def step(state: ChainState, search: _Search = search) -> None:
                search.look(recipe.space.decode(state.x))
                sampler.told(advance, state)

            continue_chains(
                run.model,
                recipe,
                recipe.space.encode(search.start),
                draw_hard(referred.labels, asked, ids, references=recipe.references, seed=sampler.seed),
                referred.images,
                referred.labels,
                seed=sampler.seed,
                chain_ids=ids,
                on_step=step,
            )
    return Counterfactual(
        before=images,
        after=to_bytes(torch.cat([search.best for search in searches])).cpu(),
        to=to,
        probabilities_before=torch.cat([search.probabilities_before for search in searches]).cpu(),
        probabilities_after=torch.cat([search.probabilities for search in searches]).cpu(),
        confidence=confidence,
        class_names=run.class_names,
    )


def check_confidence(confidence: float) -> None:
    """Refuses a p(to|x) that no image has, or that every one has."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be above 0 and below 1, got {confidence}; 0.5 is the default")


class _Search:
    """The nearest image so far to each of a batch that the classifier calls `to`.

    Args:
        model: frozen.
        start: the images, float (B, C, H, W), on the model's device.
        to, confidence: see `Counterfactual`.
    """

    def __init__(self, model: Classifier, start: Tensor, to: int, confidence: float) -> None:
        self.model, self.start, self.to, self.confidence = model, start, to, confidence
        self.best = start
        self.probabilities = self.probabilities_before = self._read(start)
        called = self._called(self.probabilities)
        self.distance = torch.where(called, 0.0, torch.inf)
        """Of the best from the start; infinite where none is called `to` yet."""

    def look(self, states: Tensor) -> None:
        """Takes the nearest image on the line to each state where it is nearer than the best so far."""
        length = _norm(states - self.start)
        reach = (NEARER * self.distance / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp_max(1.0)
        image = self._at(reach, states)
        probabilities = self._read(image)
        called, low, high = self._called(probabilities), torch.zeros_like(reach), reach
        crossed = called & (self.distance > 0)
        if bool(crossed.any()):
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                there = self._called(self._read(self._at(middle, states)))
                low, high = torch.where(there, low, middle), torch.where(there, middle, high)
            image = torch.where(_beside(crossed, image), self._at(high, states), image)
            probabilities = self._read(image)
        hopeful = self.distance.isinf() & ~called & (probabilities[:, self.to] > self.probabilities[:, self.to])
        taken = crossed | hopeful
        self.best = torch.where(_beside(taken, image), image, self.best)
        self.probabilities = torch.where(taken[:, None], probabilities, self.probabilities)
        self.distance = torch.where(crossed, _norm(self.best - self.start), self.distance)

    def _at(self, share: Tensor, states: Tensor) -> Tensor:
        """The image at this share of the way, of bytes."""
        return to_unit(to_bytes(torch.lerp(self.start, states.float(), _beside(share, states))))

    @torch.no_grad()
    def _read(self, image: Tensor) -> Tensor:
        return self.model.class_logits(self.model(image)).float().softmax(dim=1)

    def _called(self, probabilities: Tensor) -> Tensor:
        return probabilities[:, self.to] >= self.confidence


def _norm(change: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(change.flatten(1), dim=1)
    return norms


def _beside(values: Tensor, images: Tensor) -> Tensor:
    """One value per image, in a shape that broadcasts with them."""
    return values.view(-1, *[1] * (images.ndim - 1))
