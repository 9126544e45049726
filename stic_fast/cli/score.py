# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast score`: anybody's images, held against real ones by a judge, in a table and a file of numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from stic_fast import __version__
from stic_fast.api.command_line import command_line
from stic_fast.atomic_write import atomic_write
from stic_fast.cli.evaluation_tables import tell_images
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import Count, Options, Seed
from stic_fast.errors import InputError
from stic_fast.evaluation.any_images import evaluate_images
from stic_fast.evaluation.judges import judge_help
from stic_fast.evaluation.record_form import FORMAT, to_plain


@dataclass(frozen=True)
class Score(Options):
    """Score anybody's images against real ones, with or without labels."""

    # A folder of image files (PNG, JPEG, …), loose or in a folder per class; or an .npz with arr_0 and, for the labels,
    # arr_1. All of one size; where it is not that of the real images, they are resized. For example: stic-fast score
    # drawn --reference digits, or stic-fast score drawn.npz --reference cifar10:PATH --judge resnet20:PATH --n 10000
    # --out scores.json.
    images: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES")]
    # Real images to compare with, as --data names them: digits, cifar10:PATH, npz:PATH, folder:PATH, idx:PATH.
    reference: str
    judge: Annotated[str, tyro.conf.arg(help=judge_help())] = "cnn"
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

    def execute(self) -> None:
        """Scores, tells and, where asked, writes."""
        if self.out is not None:
            if self.out.suffix != ".json" or self.out.is_dir():
                raise InputError(f"--out must be a file that ends in .json, got {self.out}; name one")
            self.out.parent.mkdir(parents=True, exist_ok=True)
        progress, asked = RichProgress(), {name: value for name, value in vars(self).items() if name != "out"}
        scores = evaluate_images(**asked, progress=progress)
        tell_images(scores)
        if self.out is not None:
            command = command_line(["score"], self)
            plain = {"format": FORMAT, "version": __version__, "command": command, "images": to_plain(scores)}
            with atomic_write(self.out) as file:
                file.write(json.dumps(plain, indent=2, allow_nan=False).encode())
            progress.say(f"numbers: {self.out}")
