# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast sample`: images of the classes asked for, drawn by a trained run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor

from stic_fast.api.animation import MOST_FRAMES, animation_of
from stic_fast.api.image_files import check_grid_fits, is_folder, prepare_target, write_images
from stic_fast.api.image_folder import ImageFolder
from stic_fast.cli.drawing import DrawingCommand, find_classes, spread
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import Count, Range
from stic_fast.errors import InputError
from stic_fast.evaluation.kept import fingerprint
from stic_fast.training import ImageSampler, open_run


@dataclass(frozen=True)
class Sample(DrawingCommand):
    """Draw images of the classes asked for."""

    # Classes by number or name, with commas between; None for all.
    labels: str | None = None
    # Number of images in total, spread evenly over the classes.
    n: Count = 100
    # FILE.png for a grid, FILE.npz for arrays (arr_0 images, arr_1 labels), else a new folder of PNGs; None for a grid
    # in the run's folder.
    out: Path | None = None
    # FILE.webp or FILE.gif for an animation too: how the images come out of noise, step by step.
    animate: Path | None = None
    # Pictures of the animation, evenly along the chains; None for 40, or for one a step where chains have fewer.
    frames: Annotated[int, Range(2, MOST_FRAMES)] | None = None

    def execute(self) -> None:
        """Draws and writes."""
        run, progress = open_run(self.run, data=self.data), RichProgress()
        names = run.class_names
        labels = spread(range(len(names)) if self.labels is None else find_classes(self.labels, names), self.n)
        image_sampler = self.image_sampler(run)
        target = self.out or run.folder.path / "samples" / f"sample_seed{self.seed}.png"
        check_grid_fits(target, self.n, run.image_shape)
        with run.folder.one_writer(target), run.folder.one_writer(self.animate or target):
            if self.animate and is_folder(target):
                raise InputError("--animate does not go with a folder of images; let --out end in .png or .npz")
            animation = animation_of(self.animate, image_sampler, labels, self.frames)
            prepare_target(target)
            if is_folder(target):
                self._fill(target, image_sampler, labels, progress)
            else:
                images = animation.draw(progress) if animation else image_sampler.of_classes(labels, progress)
                write_images(target, images, labels, names)
            progress.say(f"{self.n} images in {target}")
            if animation:
                animation.save()
                progress.say(f"{len(animation.steps)} frames in {animation.path}")

    def _fill(self, target: Path, image_sampler: ImageSampler, labels: Tensor, progress: RichProgress) -> None:
        """Draws what the folder lacks, a batch at a time, so that a kill costs a batch at most."""
        run, referred = image_sampler.run, image_sampler.images
        about = {
            "run": str(self.run.resolve()),
            "weights": fingerprint({}, *run.model.state_dict().values()),
            "data": fingerprint({}, referred.images, referred.labels),
            "labels": self.labels,
            "n": self.n,
            "seed": self.seed,
            "steps": image_sampler.resolved.steps,
            "precision": self.precision,
            "layout": self.layout,
        }
        with ImageFolder(target, labels, about) as folder:
            missing = folder.missing()
            if len(missing) < len(labels):
                progress.say(f"{len(labels) - len(missing)} of {len(labels)} images are in {target} already")
            try:
                for places in torch.split(missing, self.batch_size):
                    folder.write(places, image_sampler.of_classes(labels, progress, places))
            except KeyboardInterrupt as stop:
                left = len(folder.missing())
                raise KeyboardInterrupt(f"{left} images are missing; the same command draws them") from stop
