# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast interpolate`: paths from one class to another, drawn by a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from torch import Tensor

from stic_fast.cli.drawing import DrawingCommand, find_classes, picture_of
from stic_fast.cli.progress import RichProgress
from stic_fast.counts import MOST, Range
from stic_fast.errors import InputError
from stic_fast.plots import save_grid
from stic_fast.training import open_run

MOST_FRAMES = 100


@dataclass(frozen=True)
class Interpolate(DrawingCommand):
    """Draw paths from one class to another: a row per path, a column per share of the second class."""

    # Class, by number or name, that paths start from.
    start: Annotated[str, tyro.conf.arg(name="from", metavar="CLASS")]
    # Class that they lead to.
    to: Annotated[str, tyro.conf.arg(metavar="CLASS")]
    # Number of paths.
    n: Annotated[int, Range(1, MOST // MOST_FRAMES)] = 8
    # Images along a path, both ends included.
    frames: Annotated[int, Range(2, MOST_FRAMES)] = 9
    # FILE.png; None for a picture in the run's folder.
    out: Path | None = None

    def execute(self) -> None:
        """Draws and writes."""
        run, progress = open_run(self.run, data=self.data), RichProgress()
        names, shares = run.class_names, even_shares(self.frames)
        start, end = (_one_class(text, names) for text in (self.start, self.to))
        default = f"samples/interpolate_{start}_{end}_seed{self.seed}.png"
        with picture_of(run.folder, self.out, default, "an interpolation is written") as target:
            images = self.image_sampler(run).of_paths(start, end, self.n, shares, progress)
            save_paths(target, images, shares, names[start], names[end])
        progress.say(f"{self.n} paths in {target}")


def even_shares(frames: int) -> list[float]:
    """From 0 to 1 in equal steps.

    >>> even_shares(5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return [frame / (frames - 1) for frame in range(frames)]


def save_paths(target: Path, images: Tensor, shares: Sequence[float], start: str, end: str) -> None:
    """The paths between two classes as a grid, a row each, each column labelled with its share of the second class."""
    labels, title = [f"{100 * share:.3g}%" for share in shares], f"from {start} to {end}: share of {end}"
    save_grid(target, images, columns=len(shares), column_labels=labels, title=title)


def _one_class(text: str, class_names: Sequence[str]) -> int:
    classes = find_classes(text, class_names)
    if len(classes) != 1:
        raise InputError(f"a path has one class at each end, got {text!r}; name one")
    return classes[0]
