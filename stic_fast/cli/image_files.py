# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images on disk: a grid as PNG, an .npz as evaluation tools read it, or a folder of PNGs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots import save_grid
from stic_fast.plots.grid import write_png
from stic_fast.whole_file import whole_file

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
    elif target.is_dir() and any(target.iterdir()):
        raise InputError(f"the folder {target} is not empty; give a new one")
    elif target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; let --out end in .png or .npz, or name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"{target.parent} may not be written; choose another --out")


def write_images(target: Path, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
    """Writes images in the form that the target's ending asks for, each file whole or not at all.

    Args:
        target: ending in .png, a grid with rows per class; in .npz, `arr_0` uint8 (N, H, W, C) and `arr_1` the labels,
            int64 (N,); otherwise a folder of PNGs named after place and class: 00000_3.png, …
        images: uint8 (N, C, H, W), sorted into classes.
        labels: int64 (N,).

    Raises:
        OSError: it cannot be written.
    """
    if target.suffix.lower() == ".png":
        _write_class_grid(target, images, labels, class_names)
    elif target.suffix.lower() == ".npz":
        _write_npz(target, images, labels)
    else:
        _write_folder(target, images, labels)


def _write_class_grid(target: Path, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
    """Rows per class, in the order of the labels; white tiles fill a class's last row."""
    classes, counts = torch.unique_consecutive(labels, return_counts=True)
    columns = min(int(counts.max()), WIDEST_GRID)
    tiles, row_labels = [], []
    for label, part in zip(classes.tolist(), torch.split(images, counts.tolist()), strict=True):
        rows = -(-len(part) // columns)
        missing = rows * columns - len(part)
        tiles += [part, torch.full((missing, *images.shape[1:]), 255, dtype=torch.uint8)]
        row_labels += [class_names[label], *[""] * (rows - 1)]
    save_grid(target, torch.cat(tiles), columns=columns, row_labels=row_labels)


def _write_npz(target: Path, images: Tensor, labels: Tensor) -> None:
    with whole_file(target) as file:
        np.savez(file, images.permute(0, 2, 3, 1).numpy(), labels.numpy())


def _write_folder(target: Path, images: Tensor, labels: Tensor) -> None:
    target.mkdir(exist_ok=True)
    for place, (pixels, label) in enumerate(zip(images.permute(0, 2, 3, 1).numpy(), labels.tolist(), strict=True)):
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        write_png(target / f"{place:05d}_{label}.png", partial(picture.save, format="PNG"))
