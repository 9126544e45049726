# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a trained cascade draws: its texture at any size, and other images in its style."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.memory import check_fits
from stic_fast.noise_addresses import SAMPLES
from stic_fast.pixels import to_bytes
from stic_fast.sampling import ChainState, NearImages, PatchSpace, Recipe, Stage
from stic_fast.training import ImageSampler, Progress, TrainedRun

FLOATS_PER_VALUE = 12
"""Numbers that a chain holds for each of its own: where it is, its gradient, Adam's means, noise, and their like."""
PREVIEW_EVERY = 10
"""Steps between two previews."""


@dataclass(frozen=True, eq=False)
class Cascade:
    """A run whose chains draw on canvases of any size, through the networks of all its rounds."""

    run: TrainedRun
    recipe: Recipe
    space: PatchSpace
    """Of images as large as the source."""
    on_preview: Callable[[Tensor], None] | None
    """Called with the image so far, uint8 (C, H, W), every few steps."""
    progress: Progress

    @classmethod
    def of(cls, run: TrainedRun, on_preview: Callable[[Tensor], None] | None, progress: Progress | None) -> Cascade:
        """The cascade that a run is.

        Raises:
            InputError: a run of another method.
        """
        recipe = run.recipe.of_images(run.image_shape)
        space = recipe.space
        if not isinstance(space, PatchSpace) or space.patch is None:
            raise InputError(
                f"{run.folder.address} is a run of {run.method.name}, which draws images of one size; give a run of "
                "igm on patches"
            )
        return cls(run, recipe, space, on_preview, progress or Progress())

    def texture(self, size: tuple[int, int], seed: int, *, tile: bool) -> Tensor:
        """The texture that it was trained on, uint8 (C, H, W), by a fresh chain.

        Args:
            tile: whether what is drawn must tile.

        Raises:
            InputError: it cannot, or a size that is too small, or too large for the memory.
        """
        if tile and self.space.margin is not None:
            raise InputError(
                f"{self.run.folder.address} was trained with patches.margin={self.space.margin}, so what it draws "
                "does not tile; leave tile out, or train with patches.margin=None"
            )
        return self._drawn(size, seed)

    def stylized(self, content: Tensor, fidelity: float) -> Tensor:
        """An image in the style that it was trained on, uint8 (C, H, W): a chain from that image, which stays near it.

        Args:
            content: float (1, C, H, W) in [−1, 1].
            fidelity: α of `NearImages`.

        Raises:
            InputError: an image that is too small, or too large for the memory.
        """
        height, width = content.shape[2:]
        return self._drawn((height, width), 0, content.to(next(self.run.model.parameters()).device), fidelity)

    def _drawn(self, size: tuple[int, int], seed: int, content: Tensor | None = None, fidelity: float = 0.0) -> Tensor:
        space = self.space.of_size(*size)
        needed = FLOATS_PER_VALUE * 4.0 * math.prod(space.canvas_shape)
        check_fits(f"a canvas of {size[0]}x{size[1]} pixels", needed, "draw a smaller one")
        ids = SAMPLES.ids(1)
        recipe = replace(self.recipe, space=space)
        if content is not None:
            kept = space.encode(content)

            def shown(images: Tensor, step: int | Tensor) -> Tensor:
                return space.view(images, seed=seed, step=step, chain_ids=ids.to(images.device))

            def near(stage: Stage) -> Stage:
                return replace(stage, objective=NearImages(stage.objective, kept, fidelity, shown))

            recipe = recipe.with_stages(near)
        sampler = ImageSampler(self.run, seed, recipe=recipe, on_step=partial(self._watch, space, [0]))
        return sampler.of_chains(torch.zeros_like(ids), ids, self.progress, content)[0]

    def _watch(self, space: PatchSpace, done: list[int], state: ChainState) -> None:
        """After each step; `done` holds their number."""
        done[0] += 1
        if self.on_preview is not None and done[0] % PREVIEW_EVERY == 0:
            self.on_preview(to_bytes(space.decode(state.x[:1]))[0].cpu())


def draws_textures(run: TrainedRun) -> bool:
    """Whether a run is a cascade that draws images of any size."""
    return isinstance(run.recipe.space, PatchSpace) and run.recipe.space.patch is not None
