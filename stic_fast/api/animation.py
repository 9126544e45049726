# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The chains of a drawing on their way from noise to images, as an animation."""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from stic_fast.api.image_files import class_grid, grid_bytes, prepare_place
from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.memory import check_fits
from stic_fast.pixels import to_bytes
from stic_fast.plots import image_grid
from stic_fast.plots.animation import animation_kind, save_animation
from stic_fast.sampling import ChainState
from stic_fast.training import ImageSampler, Progress

FRAMES = 40
"""Of an animation where nothing else is asked for."""
MOST_FRAMES = 1_000


class Animation:
    """Draws images and keeps what their chains look like at steps evenly along the way, start and end included.

    Args:
        path: FILE.webp or FILE.gif.
        sampler: how the images are drawn.
        classes: of each image, int64 (images,).
        frames: so many pictures; where the chains have fewer steps, one for each. 40 if None.

    Raises:
        InputError: another kind of file or a place where none can be written, a number of frames out of its range,
            chains without steps, or more images than the file can show or there is memory for.
        OSError: the folders above the file cannot be made.
    """

    def __init__(
        self, path: str | os.PathLike[str], sampler: ImageSampler, classes: Tensor, frames: int | None = None
    ) -> None:
        shape, self._names = sampler.run.image_shape, sampler.run.class_names
        self.path, self._sampler, self._classes = Path(path), sampler, classes
        recipe = sampler.resolved.of_images(shape)
        frames = FRAMES if frames is None else frames
        check_count("frames", frames, least=2, most=MOST_FRAMES)
        if not recipe.steps:
            raise InputError("an animation shows the steps of chains, and these have none; give steps above 0")
        last = min(frames - 1, recipe.steps)
        self.steps = [frame * recipe.steps // last for frame in range(last + 1)]
        """How many steps the chains have made in each frame."""
        states = len(classes) * math.prod(shape)
        needed = len(self.steps) * (states + 2 * grid_bytes(len(classes), shape))
        check_fits(f"an animation of {len(classes)} images", needed, "ask for fewer of them, or for fewer frames")
        blank = torch.zeros(len(classes), *shape, dtype=torch.uint8)
        animation_kind(path, self._picture(blank).size)
        if self.path.is_dir():
            raise InputError(f"{path} is a folder; name a file in it")
        prepare_place(self.path)
        self._space = recipe.space
        self._states = blank.repeat(len(self.steps), 1, 1, 1, 1)
        self._rows, self._frame, self._step = slice(0, 0), 0, recipe.steps

    def draw(self, progress: Progress) -> Tensor:
        """The images, the same as without an animation: uint8 (images, channels, height, width)."""
        images = replace(self._sampler, on_step=self._see).of_classes(self._classes, progress)
        self._states[-1] = images
        return images

    def save(self) -> None:
        """Writes the file, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        save_animation(self.path, [self._picture(images) for images in self._states])

    def _see(self, state: ChainState) -> None:
        """Keeps a batch's state if its step is one of a frame; a step that is not after the last begins a batch."""
        if state.step <= self._step:
            assert state.chain_ids is not None
            self._rows = slice(self._rows.stop, self._rows.stop + len(state.x))
            self._keep(0, self._space.start(state.chain_ids, seed=state.seed))
        self._step = state.step
        frame = bisect_right(self.steps, state.step) - 1
        if frame > self._frame:
            self._keep(frame, state.x)
        if self._sampler.on_step:
            self._sampler.on_step(state)

    def _keep(self, frame: int, x: Tensor) -> None:
        """From this frame on: a chain that stops early stays where it is."""
        self._frame = frame
        self._states[frame:, self._rows] = shown(self._space.decode(x)).cpu()

    def _picture(self, images: Tensor) -> Image.Image:
        """The grid of all classes, grey where the images are."""
        picture = image_grid(**class_grid(images, self._classes, self._names))
        return picture.convert("L") if images.shape[1] == 1 else picture


def animation_of(
    path: str | os.PathLike[str] | None, sampler: ImageSampler, classes: Tensor, frames: int | None
) -> Animation | None:
    """The animation that was asked for, if one was. Arguments and errors as for `Animation`.

    Raises:
        InputError: frames without an animation.
    """
    if path is not None:
        return Animation(path, sampler, classes, frames)
    if frames is not None:
        raise InputError("frames are those of an animation, and none is asked for; give animate too")
    return None


def shown(images: Tensor) -> Tensor:
    """Bytes that show images (N, C, H, W), those far outside [−1, 1] too.

    Annealed chains start as noise of a standard deviation of tens, of which clamping would leave black and white. So
    an image whose root mean square exceeds 1, which none within [−1, 1] has, is divided by it; then all are clamped.

    >>> shown(torch.tensor([-100.0, 50.0, 0.5, 1.5]).view(2, 1, 1, 2)).flatten()
    tensor([  0, 208, 185, 255], dtype=torch.uint8)
    """
    rms = images.float().square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return to_bytes(images / rms.clamp_min(1))
