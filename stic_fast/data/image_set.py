# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Labelled images held in memory as uint8, and the train/test pair every source returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.readable import readable

CHANNELS = (1, 3)
"""Grey, or red, green and blue."""

LabelledArray: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Images and their labels."""


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images of one size with one class each.

    images: uint8 (N, C, H, W), contiguous, C = 1 (grey) or 3 (RGB); labels: int64 (N,), each in 0..num_classes-1;
    class_names: one distinct name per class; name: where the images come from, the first word of every message.
    N may be 0. Both are kept as `readable` has them. Raises InputError where one of these does not hold.

    >>> images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    >>> shapes = ImageSet(images, torch.tensor([0, 1, 0]), ("circle", "square"), "shapes")
    >>> shapes
    ImageSet('shapes': 3 images of (1, 8, 8), 2 classes)
    >>> shapes.class_indices(0)
    tensor([0, 2])
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise InputError(f"{self.name}: {fault}")
        object.__setattr__(self, "name", readable(self.name))
        object.__setattr__(self, "class_names", tuple(map(readable, self.class_names)))

    def _faults(self) -> Iterator[str]:
        images, labels, names = self.images, self.labels, self.class_names
        if images.dtype != torch.uint8:
            yield f"images must be uint8, got {images.dtype}; scale them to 0..255 and convert"
        if images.ndim != 4 or min(images.shape[1:]) < 1:
            yield f"images must be (N, C, H, W), got {tuple(images.shape)}; reshape them"
        if images.shape[1] not in CHANNELS:
            channels = f"{images.shape[1]} in {tuple(images.shape)}"
            yield f"images must have 1 (grey) or 3 (RGB) channels, got {channels}; convert them to grey or RGB"
        if not images.is_contiguous():
            yield "images must be contiguous; call .contiguous() on them"
        if not isinstance(names, tuple) or not names or not all(isinstance(name, str) for name in names):
            yield f"class_names must be a tuple of at least one string, got {names!r}"
        if len(set(names)) != len(names):
            twice = next(name for index, name in enumerate(names) if name in names[:index])
            yield f"the class name {twice!r} stands twice; give every class its own name"
        if labels.dtype != torch.int64 or labels.ndim != 1:
            got = f"{labels.dtype} {tuple(labels.shape)}"
            yield f"labels must be int64 of shape (N,), got {got}; pass one class number per image"
        if len(labels) != len(images):
            yield f"{len(images)} images but {len(labels)} labels; pass one label per image"
        if labels.device != images.device:
            yield f"images are on {images.device}, labels on {labels.device}; move them to one device"
        outside = torch.nonzero((labels < 0) | (labels >= self.num_classes)).flatten().tolist()
        for first in outside:
            label = f"label {int(labels[first])} of image {first} is outside 0..{self.num_classes - 1}"
            yield f"{label}; number the classes from 0 and name each of them"

    @classmethod
    def from_numpy(cls, images: np.ndarray, labels: np.ndarray, *, class_names: tuple[str, ...], name: str) -> ImageSet:
        """Build from uint8 (N, H, W) or (N, C, H, W) and integer (N,) arrays; copies only what is not contiguous.

        >>> ImageSet.from_numpy(np.zeros((2, 4, 5), np.uint8), np.array([0, 0]), class_names=("dark",), name="night")
        ImageSet('night': 2 images of (1, 4, 5), 1 class)
        """
        stacked = images[:, None] if images.ndim == 3 else images
        return cls(
            images=torch.from_numpy(np.require(stacked, requirements=["C", "W"])),
            labels=torch.from_numpy(labels.astype(np.int64)),
            class_names=class_names,
            name=name,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        classes = f"{self.num_classes} class{'es' * (self.num_classes != 1)}"
        return f"ImageSet({self.name!r}: {len(self)} images of {self.image_shape}, {classes})"

    @property
    def num_classes(self) -> int:
        """The number C of classes, with or without images here."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def class_indices(self, c: int) -> Tensor:
        """The int64 indices of the images of class c, ascending; empty if it has none here."""
        if not 0 <= c < self.num_classes:
            raise InputError(f"{self.name}: there is no class {c}; the classes are 0..{self.num_classes - 1}")
        return torch.nonzero(self.labels == c).flatten()

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set on another device."""
        return ImageSet(self.images.to(device), self.labels.to(device), self.class_names, self.name)

    def subset(self, indices: Tensor | Sequence[int]) -> ImageSet:
        """A copy of the images at `indices`, in that order, with the same classes; repeats are allowed.

        >>> images = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1)
        >>> ImageSet(images, torch.tensor([0, 1, 0]), ("a", "b"), "dots").subset([2, 1]).images.flatten()
        tensor([2, 1], dtype=torch.uint8)
        """
        chosen = torch.as_tensor(indices, device=self.images.device)
        if chosen.ndim != 1 or (chosen.numel() and (chosen.dtype == torch.bool or chosen.is_floating_point())):
            raise InputError(
                f"{self.name}: indices must be whole numbers of shape (K,), got {chosen.dtype} {tuple(chosen.shape)}; "
                "for a mask pass mask.nonzero().flatten()"
            )
        chosen = chosen.to(torch.int64)
        outside = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(outside):
            raise InputError(f"{self.name}: there is no image {int(outside[0])}; the images are 0..{len(self) - 1}")
        return ImageSet(self.images[chosen], self.labels[chosen], self.class_names, self.name)


@dataclass(frozen=True, eq=False)
class Splits:
    """The images to train on and the images to test on: same shape, same classes, neither empty.

    Every class has an image in train; the test set may lack some. Raises InputError otherwise.

    >>> image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    >>> night = ImageSet(image, torch.tensor([0]), ("dark",), "night")
    >>> Splits(train=night, test=night).train.num_classes
    1
    """

    train: ImageSet
    test: ImageSet

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise InputError(fault)

    def _faults(self) -> Iterator[str]:
        train, test = self.train, self.test
        for part in (train, test):
            if not len(part):
                yield f"{part.name}: holds no images; add some"
        if train.image_shape != test.image_shape:
            shapes = f"{train.name} has images of {train.image_shape} but {test.name} of {test.image_shape}"
            yield f"{shapes} (channels, height, width); bring them to one shape first"
        if train.class_names != test.class_names:
            classes = f"the classes {_short(train.class_names)} but {test.name} {_short(test.class_names)}"
            yield f"{train.name} has {classes}; give both the same classes in the same order"
        for missing in (torch.bincount(train.labels, minlength=train.num_classes) == 0).nonzero().flatten().tolist():
            name = train.class_names[missing]
            yield (
                f"{train.name}: class {missing} ({name!r}) has no image; add one or drop the class and number the "
                "others without a gap"
            )

    @classmethod
    def from_numpy(
        cls,
        train: LabelledArray,
        test: LabelledArray | None,
        *,
        class_names: tuple[str, ...] | None = None,
        name: str,
        test_fraction: float = 0.1,
    ) -> Splits:
        """Build from images and labels as `ImageSet.from_numpy` takes them.

        Args:
            test: None to have `test_fraction` of every class held out, see `stratified`.
            class_names: None for "0".."C-1", see `numbered_classes`.
            name: of the two together.

        >>> Splits.from_numpy((np.zeros((20, 4, 5), np.uint8), np.arange(20) % 2), None, name="dots").test
        ImageSet('dots test': 2 images of (1, 4, 5), 2 classes)
        """
        if class_names is None:
            class_names = numbered_classes(train[1], None if test is None else test[1], name=name)
        if test is None:
            whole = ImageSet.from_numpy(*train, class_names=class_names, name=name)
            return cls.stratified(whole, test_fraction=test_fraction)
        parts = zip((train, test), ("train", "test"), strict=True)
        sets = (ImageSet.from_numpy(*part, class_names=class_names, name=f"{name} {which}") for part, which in parts)
        return cls(*sets)

    def to(self, device: torch.device | str) -> Splits:
        """The same images on another device."""
        return Splits(self.train.to(device), self.test.to(device))

    def unlabelled(self) -> Splits:
        """The same images, all of one class called "image".

        >>> images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
        >>> shapes = ImageSet(images, torch.tensor([0, 1, 0]), ("circle", "square"), "shapes")
        >>> Splits(shapes, shapes).unlabelled().train
        ImageSet('shapes': 3 images of (1, 8, 8), 1 class)
        """
        parts = (self.train, self.test)
        return Splits(*(replace(one, labels=torch.zeros_like(one.labels), class_names=("image",)) for one in parts))

    @classmethod
    def stratified(cls, whole: ImageSet, *, test_fraction: float) -> Splits:
        """Hold out `test_fraction` of every class, the same images each time and without a random generator.

        Of a class of n images, round(n * test_fraction), but at least one, go to test, evenly spaced in their order;
        a class with a single image keeps it in train. Both parts keep the order of `whole`.

        >>> images = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1, 1)
        >>> whole = ImageSet(images, torch.zeros(10, dtype=torch.int64), ("number",), "numbers")
        >>> Splits.stratified(whole, test_fraction=0.2).test.images.flatten()
        tensor([2, 7], dtype=torch.uint8)
        """
        if not 0 < test_fraction < 1:
            raise InputError(f"test_fraction must lie between 0 and 1, got {test_fraction}; try 0.1")
        in_test = torch.zeros(len(whole), dtype=torch.bool, device=whole.labels.device)
        for c in range(whole.num_classes):
            members = whole.class_indices(c)
            if len(members) > 1:
                held_out = min(max(1, round(len(members) * test_fraction)), len(members) - 1)
                in_test[members[(2 * torch.arange(held_out) + 1) * len(members) // (2 * held_out)]] = True
        if not bool(in_test.any()):
            raise InputError(
                f"{whole.name}: no class has a second image to hold out for the test set; add images or a test set"
            )
        return cls(
            train=replace(whole.subset(torch.nonzero(~in_test).flatten()), name=f"{whole.name} train"),
            test=replace(whole.subset(torch.nonzero(in_test).flatten()), name=f"{whole.name} test"),
        )


def numbered_classes(train_labels: np.ndarray, test_labels: np.ndarray | None = None, *, name: str) -> tuple[str, ...]:
    """The names "0".."C-1" for integer labels, C - 1 being the largest one; each class must have an image in train.

    >>> numbered_classes(np.array([2, 0, 1, 0]), name="dots")
    ('0', '1', '2')
    """
    parts = [part for part in (train_labels, test_labels) if part is not None]
    for part in parts:
        if not len(part):
            raise InputError(f"{name}: holds no labels; add images and labels")
        if int(part.min()) < 0:
            raise InputError(f"{name}: label {int(part.min())} is negative; number the classes 0, 1, 2, …")
    largest = max(int(part.max()) for part in parts)
    present = np.unique(train_labels)
    if len(present) != largest + 1:
        missing = next((k for k, label in enumerate(present) if int(label) != k), len(present))
        raise InputError(
            f"{name}: class {missing} has no training image though labels reach {largest}; add one or number the "
            "classes 0, 1, 2, … without a gap"
        )
    return tuple(str(k) for k in range(largest + 1))


def check_lengths(images: np.ndarray, labels: np.ndarray, where: str, hint: str) -> None:
    """Refuses another number of labels than of images."""
    if len(images) != len(labels):
        raise InputError(f"{where} hold {len(images)} images but {len(labels)} labels; {hint}")


def _short(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown}, … ({len(names)})" if len(names) > 12 else shown
