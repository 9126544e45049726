# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images in one file: a grid as PNG, or an .npz as evaluation tools read it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stic_fast.api.image_folder import refuse_folder
from stic_fast.atomic_write import atomic_write, is_unfinished
from stic_fast.errors import InputError
from stic_fast.memory import check_fits
from stic_fast.plots import save_grid
from stic_fast.plots.grid import TILE_SIDE

ABANDONED = 60  # seconds after which an unfinished file has no writer
WIDEST_GRID = 20  # images of a class side by side; more of them go on in further rows
NOT_WRITTEN = {".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pdf", ".svg", ".npy", ".zip"}


def prepare_target(target: Path) -> None:
    """Makes sure, before long work, that images can be written there, and makes the folders above it.

    Raises:
        InputError: a kind of file that is not written, a folder that holds something, or one without permission.
        OSError: the folders above it cannot be made.
    """
    kind = target.suffix.lower()
    if kind in NOT_WRITTEN:
        raise InputError(f"{target} would be a {kind} file, which is not written; let it end in .png or .npz")
    if kind in (".png", ".npz"):
        if target.is_dir():
            raise InputError(f"{target} is a folder; name a file in it, or a folder that does not end in {kind}")
    elif target.is_dir():
        refuse_folder(target)
    elif target.exists():
        raise InputError(f"{target} is a file; let the name end in .png or .npz, or name a new folder")
    prepare_place(target)


def prepare_place(target: Path) -> None:
    """Makes the folders above, makes sure that they can be written, and removes what was never finished.

    Raises:
        InputError: there is no permission.
        OSError: the folders cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise InputError(f"{target.parent} may not be written ({error.strerror}); choose another place") from error
    _sweep(target)


def _sweep(target: Path) -> None:
    """Removes what killed commands left of this file; one that is being written was touched within the last minute."""
    for path in target.parent.iterdir():
        if is_unfinished(path.name) and path.name.startswith(f".{target.name}."):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED:
                    path.unlink()


def is_folder(target: Path) -> bool:
    """Whether images go there as a folder of PNGs, for `ImageFolder`, and not as one file."""
    return target.suffix.lower() not in (".png", ".npz")


def check_grid_fits(target: Path, count: int, image_shape: tuple[int, ...]) -> None:
    """Refuses a grid of more images than there is memory for."""
    if target.suffix.lower() == ".png":
        check_fits(f"a grid of {count} images", 3 * grid_bytes(count, image_shape), "ask for fewer, or for FILE.npz")


def grid_bytes(count: int, image_shape: Sequence[int]) -> float:
    """About what a grid of images takes as a picture."""
    return 3.0 * count * (max(TILE_SIDE, *image_shape[1:]) + 2) ** 2


def write_images(target: Path, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
    """Writes images in the form that the target's ending asks for, whole or not at all.

    Args:
        target: ending in .png, a grid with rows per class; in .npz, `arr_0` uint8 (N, H, W, C) and `arr_1` the labels,
            int64 (N,).
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
    """
    if target.suffix.lower() == ".png":
        save_grid(target, **class_grid(images, labels, class_names))
    else:
        with atomic_write(target) as file:
            np.savez(file, images.permute(0, 2, 3, 1).numpy(), labels.numpy())


def class_grid(images: Tensor, labels: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """What `image_grid` needs for rows per class, in the order in which classes first stand among the labels.

    White tiles fill a class's last row. Arguments as for `write_images`.

    >>> grid = class_grid(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.tensor([1, 0, 1]), ["cat", "dog"])
    >>> grid["columns"], grid["row_labels"], len(grid["images"])
    (2, ['dog', 'cat'], 4)
    """
    places: dict[int, int] = {}
    for label in labels.tolist():
        places.setdefault(label, len(places))
    order = torch.tensor([places[label] for label in labels.tolist()]).argsort(stable=True)
    images, labels = images[order], labels[order]
    classes, counts = torch.unique_consecutive(labels, return_counts=True)
    columns = min(int(counts.max()), WIDEST_GRID)
    tiles, row_labels = [], []
    for label, part in zip(classes.tolist(), torch.split(images, counts.tolist()), strict=True):
        rows = -(-len(part) // columns)
        missing = rows * columns - len(part)
        tiles += [part, torch.full((missing, *images.shape[1:]), 255, dtype=torch.uint8)]
        row_labels += [class_names[label], *[""] * (rows - 1)]
    return {"images": torch.cat(tiles), "columns": columns, "row_labels": row_labels}
