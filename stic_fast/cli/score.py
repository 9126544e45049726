# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast score`: anybody's images, held against real ones, or textures against their source, in numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast.api.command_line import command_line
from stic_fast.atomic_write import atomic_write
from stic_fast.cli.evaluation_tables import tell_images, tell_texture
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import Count, Options, Seed
from stic_fast.errors import InputError
from stic_fast.evaluation.any_images import evaluate_images
from stic_fast.evaluation.any_texture import evaluate_texture
from stic_fast.evaluation.judges import judge_help
from stic_fast.evaluation.patch_features import FILTERS
from stic_fast.evaluation.record_form import FORMAT, Record, to_plain

_ONLY_OF = {"reference": ("n", "judge_iterations", "batch_size"), "texture": ("layers", "patch")}
_JUDGE = f"{judge_help()} With --texture: {FILTERS}, random filters at several scales; or any of these but cnn."


@dataclass(frozen=True)
class Score(Options):
    """Score anybody's images against real ones, with or without labels; or textures against their source."""

    # A folder of image files (PNG, JPEG, …), loose or in a folder per class; or an .npz with arr_0 and, for the labels,
    # arr_1. All of one size; where it is not that of the real images, they are resized. For example: stic-fast score
    # drawn --reference digits, or stic-fast score drawn.npz --reference cifar10:PATH --judge resnet20:PATH --n 10000
    # --out scores.json. With --texture, image files of any size: stic-fast score drawn.png --texture bricks.png.
    images: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
    # Real images to compare with, as --data names them: digits, cifar10:PATH, npz:PATH, folder:PATH, idx:PATH.
    reference: str | None = None
    # The image that textures were drawn from; takes the place of --reference.
    texture: Path | None = None
    # By default cnn, and with --texture filters.
    judge: Annotated[str | None, tyro.conf.arg(help=_JUDGE)] = None
    # Images to score, drawn by the seed; None for all.
    n: Count | None = None
    # Of everything that is drawn or trained.
    seed: Seed = 0
    # Where to write the numbers, FILE.json; None for nowhere.
    out: Path | None = None
    # Iterations of the cnn judge's training.
    judge_iterations: Count = 600
    # Images at a time; no number depends on it beyond its last digits.
    batch_size: Count = 250
    # With --texture: layers of the judge whose features are compared, with commas between; None for its own choice.
    layers: str | None = None
    # With --texture: side of the patches that are looked for in the source.
    patch: Count = 16

    def execute(self) -> None:
        """Scores, tells and, where asked, writes."""
        self._check()
        if self.out is not None:
            if self.out.suffix != ".json" or self.out.is_dir():
                raise InputError(f"--out must be a file that ends in .json, got {self.out}; name one")
            self.out.parent.mkdir(parents=True, exist_ok=True)
        progress = RichProgress()
        part, scores = self._scored(progress)
        if self.out is not None:
            command = command_line(["score"], self)
            plain = {**FORMAT.stamp(), "command": command, part: to_plain(scores)}
            with atomic_write(self.out) as file:
                file.write(json.dumps(plain, indent=2, allow_nan=False).encode())
            progress.say(f"numbers: {self.out}")

    def _scored(self, progress: RichProgress) -> tuple[str, Record]:
        if self.texture is not None:
            texture = evaluate_texture(
                self.images,
                self.texture,
                judge=self.judge or FILTERS,
                layers=[layer.strip() for layer in self.layers.split(",")] if self.layers else (),
                patch=self.patch,
                seed=self.seed,
                progress=progress,
            )
            tell_texture(texture)
            return "texture", texture
        images = evaluate_images(
            self.images[0],
            self.reference,
            judge=self.judge or "cnn",
            n=self.n,
            seed=self.seed,
            judge_iterations=self.judge_iterations,
            batch_size=self.batch_size,
            progress=progress,
        )
        tell_images(images)
        return "images", images

    def _check(self) -> None:
        """Refuses what belongs to the other of the two forms."""
        if (self.reference is None) == (self.texture is None):
            raise InputError(
                "give either --reference, the real images to compare with, or --texture, the image drawn from"
            )
        if self.reference is not None and len(self.images) != 1:
            raise InputError(f"--reference takes one folder or .npz file of images, got {len(self.images)}; name one")
        form, other = ("texture", "reference") if self.reference is None else ("reference", "texture")
        for field in fields(self):
            if field.name in _ONLY_OF[other] and getattr(self, field.name) != field.default:
                option = field.name.replace("_", "-")
                raise InputError(f"--{option} says nothing with --{form}; leave it out, or give --{other}")
