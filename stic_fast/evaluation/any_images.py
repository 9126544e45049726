# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of anybody's images, from whatever drew them: `stic-fast evaluate` without a run."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.data import ImageSet, Splits, load
from stic_fast.data.class_names import find_class
from stic_fast.data.folder import read_unsplit_folder
from stic_fast.data.npz import read_unsplit_npz
from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_images, check_labels, described
from stic_fast.evaluation.image_record import image_record
from stic_fast.evaluation.judging import Display, Judging
from stic_fast.evaluation.outliers import fit_images
from stic_fast.evaluation.record_form import ImageScores
from stic_fast.evaluation.records import subset
from stic_fast.pixels import to_bytes

HELD_OUT = 0.1  # of a reference without test images, to stand in their place, as `stic_fast.data` does
ROUNDING = 0.01  # how far floats may lie beyond [-1, 1]; what lies further was never meant to be in it


def evaluate_images(
    images: object,
    reference: object,
    *,
    judge: object = "cnn",
    labels: Tensor | Sequence[int] | None = None,
    n: int | None = None,
    seed: int = 0,
    judge_iterations: int = 600,
    batch_size: int = 250,
    progress: Display | None = None,
) -> ImageScores:
    """Scores of images against real ones: distances, IS, manifold scores, and those of labels where there are some.

    Real test images and noise stand beside them, as in `stic-fast evaluate`, with which every number agrees. Images of
    another size or colour than the real ones are brought to theirs (see `fit_images`), and a note says so. `print`
    shows the scores as a table.

    Args:
        images: uint8 (N, C, H, W), or floating point in [-1, 1], a tensor or array; or the path of a folder of image
            files, loose or in a folder per class, or of an .npz with `arr_0` and, for the labels, `arr_1`.
        reference: real images: a source as `stic_fast.data.load` reads it, such as "cifar10:PATH"; `Splits`; an
            `ImageSet`, or images alone, of which every tenth is held out to stand in for test images.
        judge: a name (see `load_judge`); a network with a judge's members, or any nn.Module that gives logits (see
            `as_judge`). Never the model that drew the images.
        labels: integers (N,), the class that each image was to show, in the reference's numbers. None for those that
            the images bring along, if any: class folders by their names, `arr_1`, or an attribute `labels`.
        n: at most so many of the images, drawn by the seed; None for all.
        seed: of everything that is drawn or trained.
        judge_iterations: of the cnn's training, and of the networks that learn from the images for Cls_G.
        batch_size: images at a time; no number depends on it beyond its last digits.
        progress: told how far the work is.

    Raises:
        InputError: images, labels, a reference or a judge that cannot be used.

    >>> noise = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> scores = evaluate_images(noise, "digits", judge=network)
    >>> [row.name for row in scores.rows][:3]
    ['FD-Sequential@40', 'KD-Sequential@40', 'IS-Sequential@40']
    """
    check_count("batch_size", batch_size)
    splits, class_names = _splits_of(reference)
    given, own_labels = _images_of(images, class_names)
    labels = own_labels if labels is None else _numbers_of(labels)
    if labels is not None and class_names:
        check_labels(labels, len(given), len(class_names))
    if n is not None:
        check_count("n", n)
        rows, _ = subset(torch.arange(len(given)), torch.arange(len(given)), n, seed)
        given, labels = given[rows], None if labels is None else labels[rows]
    shape, note = splits.train.image_shape, ""
    if given.shape[1:] != shape:
        note = f"images of {_size(given.shape[1:])} were brought to {_size(shape)}"
        given = fit_images(given, shape, batch_size=batch_size)
    counts: dict[str, Any] = {"n": len(given), "judge_iterations": judge_iterations, "batch_size": batch_size}
    judging = Judging.by(judge, splits, labelled=bool(class_names), seed=seed, progress=progress, **counts)
    return image_record(judging, given, labels, note=note, progress=progress)


def _splits_of(reference: object) -> tuple[Splits, Sequence[str]]:
    """Real images to compare with and to hold out, and the names of their classes, none where they have no labels."""
    if isinstance(reference, str):
        reference = load(reference)
    if isinstance(reference, Splits):
        return reference, reference.train.class_names
    if isinstance(reference, ImageSet):
        return Splits.stratified(reference, test_fraction=HELD_OUT), reference.class_names
    images = byte_images(reference, "reference")
    alone = ImageSet(images.contiguous(), torch.zeros(len(images), dtype=torch.int64), ("image",), "reference")
    return Splits.stratified(alone, test_fraction=HELD_OUT), ()


def _images_of(images: object, class_names: Sequence[str]) -> tuple[Tensor, Tensor | None]:
    """Images as bytes, and the labels that they bring along, if any."""
    if not isinstance(images, str | PathLike):
        labels = getattr(images, "labels", None)
        return byte_images(images, "images"), labels if isinstance(labels, Tensor) else None
    path = Path(images)
    if path.is_dir():
        found, folders = read_unsplit_folder(path)
        if not class_names or "" in folders:
            return torch.from_numpy(found), None
        numbers = {name: _class_of(path / name, class_names) for name in dict.fromkeys(folders)}
        return torch.from_numpy(found), torch.tensor([numbers[name] for name in folders])
    if not path.is_file():
        raise InputError(f"there is no file or folder {path}; give a folder of images or an .npz file")
    found, known = read_unsplit_npz(path)
    return torch.from_numpy(np.ascontiguousarray(found)), None if known is None else torch.from_numpy(known).long()


def _numbers_of(labels: object) -> Tensor:
    try:
        return torch.as_tensor(labels).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"labels must be integers, one an image, got {described(labels)} ({error})") from error


def _class_of(folder: Path, class_names: Sequence[str]) -> int:
    try:
        return find_class(folder.name, class_names)
    except InputError as error:
        hint = "name folders after the classes, or put all images into one to score them without labels"
        raise InputError(f"{folder}: {error}; {hint}") from error


def byte_images(images: object, what: str) -> Tensor:
    """A tensor or array of images (N, C, H, W), floats in [-1, 1] among them, as uint8 on the CPU, C = 1 or 3.

    Raises:
        InputError: they are of another kind or shape; `what` is the subject of the sentence.

    >>> byte_images(np.ones((2, 1, 4, 4)), "images").unique()
    tensor([255], dtype=torch.uint8)
    """
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images))
    if isinstance(images, Tensor) and images.is_floating_point():
        most = float(images.abs().max()) if images.numel() else 0.0
        if not most <= 1 + ROUNDING:
            raise InputError(f"{what} must be uint8 or floats in [-1, 1], got floats up to {most:g}; scale them")
        images = to_bytes(images)
    if not isinstance(images, Tensor):
        raise InputError(f"{what} must be a tensor, an array or a path, got {described(images)}; give one of these")
    check_images(images, what=what)
    if images.shape[1] not in (1, 3):
        raise InputError(
            f"{what} must have 1 (grey) or 3 (RGB) channels, (N, C, H, W), got {described(images)}; permute or convert "
            "them"
        )
    return images.detach().as_subclass(Tensor).cpu()


def _size(shape: Sequence[int]) -> str:
    channels, height, width = shape
    return f"{width}x{height} pixels in {'grey' if channels == 1 else 'RGB'}"
