# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A folder of drawn PNGs that is filled image by image: a killed drawing goes on where it was.

FOLDER/  00000_3.png  00001_3.png  …        named after place and class
         .unfinished.json                   what the images depend on, until the last of them is there
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from stic_fast.atomic_write import atomic_write
from stic_fast.errors import InputError
from stic_fast.plots.grid import write_png
from stic_fast.stored import read_json
from stic_fast.training.one_writer import LOCK, is_fresh, one_writer

UNFINISHED = ".unfinished.json"


def refuse_folder(folder: Path) -> None:
    """Refuses a folder that holds anything but an unfinished drawing, or what a kill left of the beginning of one."""
    if not (folder / UNFINISHED).exists() and not is_fresh(folder):
        raise InputError(f"the folder {folder} is not empty; give a new one")


class ImageFolder:
    """The images of a drawing in a folder, made or gone on with; one process at a time draws into it.

    Args:
        folder: new, empty, or of an unfinished drawing.
        labels: the class of each image, int64 (images,).
        about: what the images depend on, as JSON writes it.

    Raises:
        InputError: the folder holds other things or images that were drawn otherwise, or is being written.
        OSError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with ImageFolder(Path(place), torch.tensor([3, 8]), {"seed": 0}) as folder:
    ...         folder.write(torch.tensor([1]), torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    ...         folder.missing()
    tensor([0])
    """

    def __init__(self, folder: Path, labels: Tensor, about: Mapping[str, Any]) -> None:
        self.folder, self.labels, self.about = folder, labels, json.loads(json.dumps(dict(about)))
        self._writing = ExitStack()

    def __enter__(self) -> ImageFolder:
        self.folder.mkdir(exist_ok=True)
        refuse_folder(self.folder)
        with ExitStack() as writing:
            writing.enter_context(one_writer(self.folder))
            self._begin()
            self._writing = writing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the note and the lock away where every image is there."""
        if (self.folder / UNFINISHED).exists() and not len(self.missing()):
            (self.folder / UNFINISHED).unlink()
            (self.folder / LOCK).unlink(missing_ok=True)
        self._writing.close()

    def _begin(self) -> None:
        note = self.folder / UNFINISHED
        if not note.exists():
            with atomic_write(note) as file:
                file.write(json.dumps(self.about, indent=2).encode())
            return
        found = read_json(note, "remove its folder to draw the images anew")
        other = sorted(key for key in self.about | found if self.about.get(key) != found.get(key))
        if other:
            raise InputError(
                f"{self.folder} holds an unfinished drawing with another {', '.join(other)}; ask for the same to go on "
                "with it, or give a new folder"
            )

    def missing(self) -> Tensor:
        """The places of the images that are not there yet, int64."""
        return torch.tensor([place for place in range(len(self.labels)) if not self._file(place).exists()]).long()

    def write(self, places: Tensor, images: Tensor) -> None:
        """Writes images, uint8 (places, channels, height, width), each whole or not at all."""
        for place, pixels in zip(places.tolist(), images.permute(0, 2, 3, 1).numpy(), strict=True):
            picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            write_png(self._file(place), partial(picture.save, format="PNG"))

    def _file(self, place: int) -> Path:
        return self.folder / f"{place:05d}_{int(self.labels[place])}.png"
