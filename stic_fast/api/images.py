# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images: a tensor of bytes that knows its classes, shows itself in a notebook and saves itself."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from stic_fast.api.image_files import check_grid_fits, class_grid, is_folder, prepare_target, write_images
from stic_fast.api.image_folder import ImageFolder
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_images
from stic_fast.evaluation.kept import fingerprint
from stic_fast.plots import image_grid
from stic_fast.training.image_sampler import occurrence

SHOWN = 400
"""Images that a notebook shows of a set at most, evenly of its classes; `grid` and `save` take all."""


class Images(Tensor):
    """uint8 (N, C, H, W), a tensor like any other, with the class that was asked for beside each image.

    What PyTorch computes of it is a plain tensor. Images taken by a slice, a mask or a list of places keep their
    labels.

    Args:
        images: uint8 (N, C, H, W), N > 0.
        labels: int64 (N,).
        class_names: the name of every class.

    Raises:
        InputError: images of another kind or none, or not one label per image.

    >>> images = Images(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1]), ["dog", "cat"])
    >>> images
    Images((4, 1, 8, 8), uint8, {'dog': 2, 'cat': 2})
    >>> images[images.labels == 1], type(images.float())
    (Images((2, 1, 8, 8), uint8, {'cat': 2}), <class 'torch.Tensor'>)
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    labels: Tensor
    """The class of each image, int64 (N,)."""
    class_names: tuple[str, ...]
    """The name of every class, with or without images here."""

    @staticmethod
    def __new__(cls: type[Images], images: Tensor, labels: Tensor, class_names: Sequence[str]) -> Images:
        check_images(images)
        if labels.shape != (len(images),) or labels.dtype != torch.int64:
            got = f"{labels.dtype} {tuple(labels.shape)}"
            raise InputError(f"labels must be int64 ({len(images)},), got {got}; give one class number per image")
        return images.detach().as_subclass(cls)

    def __init__(self, images: Tensor, labels: Tensor, class_names: Sequence[str]) -> None:
        super().__init__()
        self.labels, self.class_names = labels, tuple(class_names)

    def __getitem__(self, place: Any) -> Tensor:
        found = super().__getitem__(place)
        if isinstance(place, slice | list | Tensor) and found.ndim == 4 and len(found):
            return Images(found, self.labels[place], self.class_names)
        return found

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        counts = Counter(self.class_names[label] for label in self.labels.tolist())
        return f"Images({tuple(self.shape)}, uint8, {dict(counts)})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Images, (self.as_subclass(Tensor), self.labels, self.class_names)

    def __deepcopy__(self, memo: Any) -> Images:
        return Images(self.clone(), self.labels.clone(), self.class_names)

    def grid(self) -> Image.Image:
        """A picture of all images, rows per class in the order of the labels, each with the class's name.

        Raises:
            InputError: images with other than 1 or 3 channels, or more than there is memory for.
        """
        check_grid_fits(Path("grid.png"), len(self), tuple(self.shape[1:]))
        return image_grid(**class_grid(self.as_subclass(Tensor).cpu(), self.labels.cpu(), self.class_names))

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes FILE.png, a grid; FILE.npz, `arr_0` uint8 (N, H, W, C) and `arr_1` labels; or else a folder of PNGs.

        The folder is a new one; in it image number 17 of class 3 is 00017_3.png.

        Returns:
            The path.

        Raises:
            InputError: another kind of file, or a place where nothing can be written.
            OSError: it cannot be written.

        >>> import tempfile
        >>> images = Images(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]), ["dog", "cat"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sorted(file.name for file in images.save(f"{folder}/drawn").iterdir())
        ['00000_0.png', '00001_1.png']
        """
        target, images, labels = Path(path), self.as_subclass(Tensor).cpu(), self.labels.cpu()
        check_grid_fits(target, len(images), tuple(images.shape[1:]))
        prepare_target(target)
        if is_folder(target):
            with ImageFolder(target, labels, {"images": fingerprint({}, images, labels)}) as folder:
                missing = folder.missing()
                folder.write(missing, images[missing])
        else:
            write_images(target, images, labels, self.class_names)
        return target

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        most = max(1, SHOWN // len(set(self.labels.tolist())))
        shown = occurrence(self.labels) < most
        return png(Images(self.as_subclass(Tensor)[shown], self.labels[shown], self.class_names).grid())


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file's bytes.

    >>> png(Image.new("L", (8, 8)))[1:4]
    b'PNG'
    """
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
