# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images drawn for an evaluation, kept on disk part by part: a killed drawing goes on where it was.

FOLDER/  about.json  part_0000.npy  part_0001.npy  …  SHA256SUMS        500 images in each, the last may have fewer

Image i is asked for class i mod C, so the first images of a larger set are those of a smaller one, and a set that grows
draws only what is missing.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.digests import listed_file
from stic_fast.errors import InputError
from stic_fast.stored import read_json, read_stored

PART = 500  # images in a part: what a kill costs at most, and what is in memory at a time
ABOUT = "about.json"
HINT = "evaluate again to draw it anew"


class DrawnImages:
    """`count` images on disk, of which missing ones are drawn by `complete`.

    Args:
        folder: made if missing.
        count: how many images, at least 1.
        num_classes: C; image i is of class i mod C.
        about: what the images depend on, as JSON writes it. A folder that was drawn otherwise is refused.

    Raises:
        InputError: a count out of range, or a folder whose images are of something else, or of nobody knows what.

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
        check_count("count", count)
        check_count("num_classes", num_classes)
        self.folder, self.count, self.num_classes = Path(folder), count, num_classes
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps({**about, "num_classes": num_classes, "part": PART}))
        found = read_about(self.folder)
        if found is None:
            with listed_file(self.folder / ABOUT) as target:
                target.write(json.dumps(wanted, indent=2).encode())
        elif found != wanted:
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
        return sum(stop - start for start, stop, found in self._parts() if not isinstance(found, Tensor))

    def complete(self, draw: Callable[[Tensor], Tensor], say: Callable[[str], None] | None = None) -> None:
        """Draws what is missing, part by part: draw(rows) gives uint8 (len(rows), channels, height, width).

        Damaged parts are drawn anew, and `say` is told. An OSError, of a part that cannot be written, leaves those
        before it whole.
        """
        for start, stop, found in self._parts():
            if not isinstance(found, Tensor):
                if found and say is not None:
                    say(f"{found}; it is drawn anew")
                content = io.BytesIO()
                np.save(content, draw(torch.arange(start, stop)).numpy())
                with listed_file(self._file(start)) as target:
                    target.write(content.getbuffer())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels, a part at a time; InputError where one is missing or damaged."""
        for start, stop, found in self._parts():
            if not isinstance(found, Tensor):
                raise InputError(f"{found or f'{self._file(start)} is missing'}; {HINT}")
            yield found, self.labels(torch.arange(start, stop))

    def all(self) -> tuple[Tensor, Tensor]:
        """All images and labels at once."""
        images, labels = zip(*self, strict=True)
        return torch.cat(images), torch.cat(labels)

    def _parts(self) -> Iterator[tuple[int, int, Tensor | str]]:
        """Where each part starts and stops, and its images, or what is wrong with it; "" where some are not drawn."""
        for start in range(0, self.count, PART):
            stop = min(start + PART, self.count)
            found: Tensor | str = ""
            try:
                images = read_stored(self._file(start), _images, HINT)
                found = images[: stop - start] if len(images) >= stop - start else ""
            except FileNotFoundError:
                pass
            except InputError as error:
                found = str(error).removesuffix(f"; {HINT}")
            yield start, stop, found

    def _file(self, start: int) -> Path:
        return self.folder / f"part_{start // PART:04d}.npy"


def read_about(folder: Path) -> dict[str, Any] | None:
    """What the images of a folder depend on, None where there are none yet; InputError where it is damaged or lost."""
    hint = f"remove the folder {folder} to draw the images anew"
    try:
        return read_json(folder / ABOUT, hint)
    except FileNotFoundError as error:
        if next(folder.glob("part_*.npy"), None) is not None:
            raise InputError(f"{folder / ABOUT} is missing, so nobody knows of what the images are; {hint}") from error
        return None


def _images(content: bytes) -> Tensor:
    images: np.ndarray = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(f"it holds {images.dtype} {images.shape} in place of images")
    return torch.from_numpy(images)
