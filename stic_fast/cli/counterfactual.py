# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast counterfactual`: what must change in an image for a run's classifier to call it something else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from stic_fast.api import load
from stic_fast.cli.drawing import RunCommand, picture_of
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import CountOrZero, Positive, Range, Seed
from stic_fast.data.class_names import find_class
from stic_fast.data.image_file import read_image
from stic_fast.errors import InputError
from stic_fast.evaluation import fit_images
from stic_fast.training import TrainedRun

TEST = "test:"


@dataclass(frozen=True)
class Counterfactual(RunCommand):
    """Find the nearest image that the classifier calls something else: a picture of before, after and difference.

    stic-fast counterfactual runs/fashion shoe.png --to Bag

    stic-fast counterfactual stic-demo test:3 --to 8 --out 3-to-8.png
    """

    # An image file, which is brought to the size and the colours of the run's images; or test:NUMBER, one of the run's
    # test images, counted from 0.
    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    # Class, by number or name, that it is to be called.
    to: Annotated[str, tyro.conf.arg(metavar="CLASS")]
    # Probability of that class from which on an image is called so.
    confidence: Annotated[float, Range(0.001, 0.999)] = 0.5
    # Score-STIC: standard deviation of the noise that the image is given, and led back from, in units of [−1, 1]; the
    # more, the more changes. None for the lowest of some levels, 0.5 to 8, that does.
    noise: Positive | None = None
    # Steps of the chain; None for as many as the run is configured for.
    steps: CountOrZero | None = None
    # Of all noise.
    seed: Seed = 0
    # FILE.png; None for a picture in the run's folder.
    out: Path | None = None

    def execute(self) -> None:
        """Searches, writes and tells."""
        run, progress = load(self.run, data=self.data), RichProgress()
        image, name = _image(self.image, run)
        to = find_class(self.to, run.class_names)
        default = f"samples/counterfactual_{name}_to_{to}_seed{self.seed}.png"
        with picture_of(run.folder, self.out, default, "a counterfactual is written") as target:
            found = run.counterfactual(
                image,
                to,
                confidence=self.confidence,
                noise=self.noise,
                seed=self.seed,
                steps=self.steps,
                progress=progress,
            )
            found.save(target)
        progress.say(f"{self.image}: {found}")
        progress.say(f"picture: {target}")


def _image(asked: str, run: TrainedRun) -> tuple[Tensor, str]:
    """The image, uint8 (C, H, W) of the run's shape, and a name for it."""
    if asked.startswith(TEST):
        test, number = run.splits.test, asked.removeprefix(TEST)
        if not number.isdecimal() or len(number) > 9 or int(number) >= len(test):
            raise InputError(f"{TEST} takes the number of a test image from 0 to {len(test) - 1}, got {asked!r}")
        return test.images[int(number)], f"test{number}"
    path = Path(asked)
    if not path.is_file():
        raise InputError(f"there is no image file {asked}; give one, or {TEST}NUMBER for a test image of the run")
    pixels = torch.from_numpy(read_image(path).copy())
    return fit_images(pixels[None], run.image_shape)[0], path.stem
