# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images and classes in the forms that people have them in: bytes or floats, tensors or arrays, numbers or names."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError

ROUNDING = 1e-4  # by which floats may leave [−1, 1]

AnyImages = Tensor | np.ndarray
"""uint8, or floats in [−1, 1]; (C, H, W), which counts as a set of one, or (N, C, H, W)."""
AnyClass = str | SupportsIndex
"""A class by its name or its number."""


def image_batch(images: AnyImages, image_shape: Sequence[int]) -> Tensor:
    """The images as a tensor (N, C, H, W), N > 0, uint8 or floating point as they were.

    Args:
        images: see `AnyImages`.
        image_shape: (C, H, W) that they must have.

    Raises:
        InputError: they are of another kind or shape, none at all, or floats outside [−1, 1].

    >>> image_batch(np.zeros((1, 8, 8), np.uint8), (1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    """
    shape = tuple(image_shape)
    if not isinstance(images, Tensor | np.ndarray):
        raise InputError(f"images must be a tensor or an array, got {type(images).__name__}; convert them to one")
    batch = torch.as_tensor(images).detach()
    batch = batch[None] if batch.ndim == len(shape) else batch
    if batch.shape[1:] != shape or not len(batch):
        wanted = f"{shape} or (N, {', '.join(map(str, shape))}), N > 0"
        raise InputError(f"images must have the shape {wanted}, got {tuple(images.shape)}; resize or permute them")
    if batch.dtype == torch.uint8:
        return batch
    if not batch.is_floating_point():
        raise InputError(f"images must be uint8, or floats in [-1, 1], got {batch.dtype}; convert them to uint8")
    least, most = (float(bound) for bound in torch.aminmax(batch))
    if not (least >= -1 - ROUNDING and most <= 1 + ROUNDING):  # nor NaN
        raise InputError(
            f"float images must lie in [-1, 1], got values from {least:g} to {most:g}; give bytes as uint8"
        )
    return batch


def class_number(asked: AnyClass, class_names: Sequence[str]) -> int:
    """The number of a class that is given by its name or its number.

    Raises:
        InputError: there is no such class; the message lists those there are.

    >>> class_number("cat", ["dog", "cat"]), class_number(torch.tensor(0), ["dog", "cat"])
    (1, 0)
    """
    if isinstance(asked, str):
        return find_class(asked, class_names)
    try:
        number = operator.index(asked)
    except TypeError as error:
        raise InputError(f"a class is given by its name or its number, got {asked!r}; give one of them") from error
    if not 0 <= number < len(class_names):
        raise InputError(f"there is no class {number}; the classes are numbered from 0 to {len(class_names) - 1}")
    return number


def class_numbers(asked: AnyClass | Iterable[AnyClass] | None, class_names: Sequence[str]) -> Tensor:
    """The numbers of one class, of several, or (None) of all, int64 (classes,).

    >>> class_numbers(["cat", 0], ["dog", "cat"]), class_numbers(None, ["dog", "cat"])
    (tensor([1, 0]), tensor([0, 1]))
    """
    if asked is None:
        return torch.arange(len(class_names))
    is_one = isinstance(asked, str) or not isinstance(asked, Iterable) or getattr(asked, "ndim", 1) == 0
    several: Iterable[Any] = [asked] if is_one else asked  # type: ignore[assignment]
    numbers = torch.tensor([class_number(each, class_names) for each in several], dtype=torch.int64)
    if not len(numbers):
        raise InputError("labels names no class; name one, or leave it out for all")
    return numbers


def nearest_names(asked: str, names: Iterable[str]) -> str:
    """The names that somebody may have meant, or all where none is near, with commas between.

    A part after a dot counts as the whole name.

    >>> nearest_names("lr", ["optimiser.lr", "passes"]), nearest_names("pases", ["optimiser.lr", "passes"])
    ('optimiser.lr', 'passes')
    """
    names = list(names)
    last = asked.rpartition(".")[2]
    same = [name for name in names if name.rpartition(".")[2] == last]
    return ", ".join(same or get_close_matches(asked, names, n=3) or names)
