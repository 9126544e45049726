# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The arguments of evaluation: each check raises an InputError with argument, requirement, what came, and what to do.

Whole numbers are checked by `stic_fast.counts.check_count`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.pixels import as_unit


def check_images(images: object, *, what: str = "images", least: int = 1) -> None:
    """Refuses anything but uint8 images (N, C, H, W), N ≥ least.

    >>> check_images(torch.zeros(1, 3, 8, 8))
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: images must be uint8 (N, C, H, W) with N at least 1, got torch.float32 (1, 3, 8, 8);
    turn floats in [-1, 1] into bytes by stic_fast.pixels.to_bytes
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or len(images) < least:
        is_float = isinstance(images, Tensor) and images.is_floating_point()
        hint = "turn floats in [-1, 1] into bytes by stic_fast.pixels.to_bytes" if is_float else "give such a tensor"
        raise InputError(f"{what} must be uint8 (N, C, H, W) with N at least {least}, got {described(images)}; {hint}")


def check_labels(labels: object, count: int, num_classes: int, *, what: str = "labels") -> None:
    """Refuses anything but integers (count,), each below num_classes; none of them is no labels.

    >>> check_labels(torch.tensor([0, 7]), 2, 3)
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: labels must be from 0 to 2, got 0 to 7; mend them or num_classes
    """
    integers = isinstance(labels, Tensor) and not labels.is_floating_point() and labels.dtype != torch.bool
    if not isinstance(labels, Tensor) or not integers or tuple(labels.shape) != (count,) or not count:
        raise InputError(
            f"{what} must be integers ({max(1, count)},), got {described(labels)} for {count} rows; give each row one"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        raise InputError(
            f"{what} must be from 0 to {num_classes - 1}, got {lowest} to {highest}; mend them or num_classes"
        )


def check_labelled_images(images: Tensor, labels: Tensor, num_classes: int, *, what: str = "images") -> None:
    """Refuses anything but uint8 images (N, C, H, W), N > 0, and as many labels below num_classes."""
    check_images(images, what=what)
    check_labels(labels, len(images), num_classes, what=f"labels of {what}")


def check_logits(logits: Tensor, num_classes: int) -> None:
    """Refuses anything but floating-point logits (N, num_classes) or wider, and num_classes < 1.

    >>> check_logits(torch.zeros(5, 3), 4)
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: logits must be floating point (N, 4) or wider for num_classes=4, got torch.float32
    (5, 3); mend num_classes or the model's last layer
    """
    check_count("num_classes", num_classes)
    if not logits.is_floating_point() or logits.ndim != 2 or logits.shape[1] < num_classes:
        raise InputError(
            f"logits must be floating point (N, {num_classes}) or wider for num_classes={num_classes}, got "
            f"{described(logits)}; mend num_classes or the model's last layer"
        )


def real_logits(logits: Tensor, num_classes: int) -> Tensor:
    """The logits of the real classes, float64 (N, num_classes) on the CPU, without gradient."""
    check_logits(logits, num_classes)
    return logits.detach()[:, :num_classes].double().cpu()


def finite_rows(values: object, *, what: str, least: int = 1) -> Tensor:
    """Finite floating-point rows (N, D), N ≥ least and D ≥ 1, as float64 on the CPU, without gradient.

    >>> finite_rows(torch.ones(1, 3), what="real", least=2)
    Traceback (most recent call last):
    ...
    stic_fast.errors.InputError: real must be floating point (N, D), a row an image and at least 2 of them, got
    torch.float32 (1, 3); give more images, each flattened
    """
    fits = isinstance(values, Tensor) and values.is_floating_point() and values.ndim == 2 and values.shape[1] > 0
    if not isinstance(values, Tensor) or not fits or len(values) < least:
        raise InputError(
            f"{what} must be floating point (N, D), a row an image and at least {least} of them, got "
            f"{described(values)}; give more images, each flattened"
        )
    if broken := int((~values.isfinite()).any(1).sum()):
        raise InputError(
            f"{what} must be finite, got NaN or infinity in {broken} of {len(values)} rows; check the network that "
            "gave them"
        )
    return values.detach().to("cpu", torch.float64)


def feature_pair(real: object, drawn: object, *, least: int) -> tuple[Tensor, Tensor]:
    """Features of real and of drawn images as float64 (N, D) and (M, D), refused where they do not fit together."""
    real, drawn = finite_rows(real, what="real", least=least), finite_rows(drawn, what="drawn", least=least)
    check_equal_lengths(real, drawn)
    return real, drawn


def check_equal_lengths(real: Tensor, drawn: Tensor) -> None:
    """Refuses feature vectors, or rows of them, of different lengths."""
    if real.shape[-1] != drawn.shape[-1]:
        raise InputError(
            f"real and drawn features must be equally long, got {real.shape[-1]} and {drawn.shape[-1]}; "
            "read both with one judge"
        )


def check_one_size(first: Tensor, second: Tensor, *, what: tuple[str, str]) -> None:
    """Refuses images of two sets with different (C, H, W)."""
    one, other = tuple(first.shape[1:]), tuple(second.shape[1:])
    if one != other:
        raise InputError(f"{what[0]} and {what[1]} must have one (C, H, W), got {one} and {other}; resize one of them")


def check_positive(name: str, value: float, *, most: float = math.inf) -> None:
    """Refuses what is no number above 0 and up to the most."""
    if not 0 < value <= most:
        bound = "" if most == math.inf else f" and at most {most:g}"
        raise InputError(f"{name} must be above 0{bound}, got {value}; give a number within")


def unit_images(images: Tensor, *, judge: str, shape: Sequence[int] | None = None) -> Tensor:
    """Images (N, C, H, W), uint8 or in [-1, 1], as floats in [-1, 1]; of the shape (C, H, W) that the judge reads."""
    typed = images.dtype == torch.uint8 or images.is_floating_point()
    if not typed or images.ndim != 4 or (shape is not None and tuple(images.shape[1:]) != tuple(shape)):
        wanted = ", ".join(map(str, shape or "CHW"))
        raise InputError(
            f"judge {judge!r} reads images (N, {wanted}), uint8 or floating point in [-1, 1], got "
            f"{described(images)}; convert or resize them, or take another judge"
        )
    return as_unit(images)


def described(value: object) -> str:
    """A tensor by its type and shape, anything else by its type.

    >>> described(torch.zeros(2, 3)), described("images")
    ('torch.float32 (2, 3)', 'str')
    """
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
