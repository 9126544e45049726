# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images drawn for an evaluation, kept on disk part by part: a killed drawing goes on where it was.

FOLDER/  about.json  part_0000.npy  part_0001.npy  …        500 images in each, the last may have fewer

Image i is asked for class i mod C, so the first images of a larger set are those of a smaller one, and a set that grows
draws only what is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.whole_file import whole_file

PART = 500
"""Images in a part: what a kill costs at most, and what is in memory at a time."""


class DrawnImages:
    """`count` images on disk, of which missing ones are drawn by `complete`.

    Args:
        folder: made if missing.
        count: how many images, at least 1.
        num_classes: C; image i is of class i mod C.
        about: what the images depend on, as JSON writes it. A folder that was drawn otherwise is refused.

    Raises:
        InputError: a count out of range, or a folder whose images are of something else.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     drawn = DrawnImages(folder, 3, num_classes=2, about={"seed": 0})
    ...     drawn.complete(lambda rows: torch.zeros(len(rows), 1, 4, 4, dtype=torch.uint8))
    ...     [(images.shape, labels.tolist()) for images, labels in drawn]
    [(torch.Size([3, 1, 4, 4]), [0, 1, 0])]
    """

    def __init__(
        self, folder: str | os.PathLike[str], count: int, *, num_classes: int, about: Mapping[str, Any]
    ) -> None:
        if count < 1 or num_classes < 1:
            raise InputError(f"an evaluation needs at least 1 image of 1 class, got {count} of {num_classes}")
        self.folder, self.count, self.num_classes = Path(folder), count, num_classes
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps({**about, "num_classes": num_classes, "part": PART}))
        file = self.folder / "about.json"
        if not file.exists():
            with whole_file(file) as target:
                target.write(json.dumps(wanted, indent=2).encode())
        elif (found := _read_about(file)) != wanted:
            other = sorted(key for key in wanted | found if wanted.get(key) != found.get(key))
            raise InputError(
                f"{self.folder} holds images that were drawn with another {', '.join(other)}; remove it, or name "
                "another folder"
            )

    def labels(self, rows: Tensor | None = None) -> Tensor:
        """The classes asked for, int64, of all images or of some."""
        return (torch.arange(self.count) if rows is None else rows) % self.num_classes

    def missing(self) -> int:
        """How many images still have to be drawn."""
        return sum(stop - start for start, stop in self._parts() if self._read(start, stop) is None)

    def complete(self, draw: Callable[[Tensor], Tensor]) -> None:
        """Draws what is missing, part by part: draw(rows) gives uint8 (len(rows), channels, height, width).

        Raises:
            OSError: a part cannot be written; those before it are whole.
        """
        for start, stop in self._parts():
            if self._read(start, stop) is None:
                images = draw(torch.arange(start, stop))
                with whole_file(self._file(start)) as target:
                    np.save(target, images.numpy())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels, a part at a time.

        Raises:
            InputError: a part is missing or damaged.
        """
        for start, stop in self._parts():
            images = self._read(start, stop)
            if images is None:
                raise InputError(f"{self._file(start)} is missing or damaged; evaluate again to draw it anew")
            yield images, self.labels(torch.arange(start, stop))

    def all(self) -> tuple[Tensor, Tensor]:
        """All images and labels at once."""
        images, labels = zip(*self, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _parts(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.count, PART):
            yield start, min(start + PART, self.count)

    def _file(self, start: int) -> Path:
        return self.folder / f"part_{start // PART:04d}.npy"

    def _read(self, start: int, stop: int) -> Tensor | None:
        """The part's images, or None where they are not all there."""
        try:
            with self._file(start).open("rb") as file:
                images: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, ValueError):
            return None
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) < stop - start:
            return None
        return torch.from_numpy(images[: stop - start])


def _read_about(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}); remove its folder to draw the images anew") from error
