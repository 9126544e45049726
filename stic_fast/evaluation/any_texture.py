# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Scores of anybody's textures against the image that they were drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.data.image_file import read_image
from stic_fast.errors import InputError
from stic_fast.evaluation.any_images import byte_images
from stic_fast.evaluation.judging import Display
from stic_fast.evaluation.outliers import uniform_noise
from stic_fast.evaluation.patch_copies import LARGEST_PATCH
from stic_fast.evaluation.patch_features import FILTERS, PatchFeatures
from stic_fast.evaluation.texture_record import TextureScores
from stic_fast.evaluation.texture_source import TextureSource, window_size

SMALLEST = 32  # pixels a side of a window; the largest patch, and more than the coarsest filters need


def evaluate_texture(
    drawn: object,
    source: object,
    *,
    judge: object = FILTERS,
    layers: Sequence[str] = (),
    patch: int = 16,
    seed: int = 0,
    progress: Display | None = None,
) -> TextureScores:
    """Scores of drawn textures against their source, beside another crop of the source, the source itself and noise.

    A texture is good where its distances are about those of the other crop, and it is drawn and not copied where its
    share of copies is, too. `print` shows the scores as a table.

    Args:
        drawn: an image of any size, or a sequence of them, which are then also compared with each other: the path of
            an image file; uint8 or floats in [-1, 1], a tensor or array (H, W), (C, H, W), or (N, C, H, W) for several.
        source: the one image that they were drawn from, in one of these forms; grey if they are, else coloured.
        judge: the network whose features are compared: "filters", fixed random filters at several scales; another
            judge by its name (see `load_judge`); a `Classifier`, a `FilterBank`, or any nn.Module with layers.
        layers: of the network, by their names; none for its own choice (see `PatchFeatures.of`).
        patch: side of the patches that are looked for in the source, from 4 to 32 pixels.
        seed: of the noise.
        progress: told how far the work is.

    Raises:
        InputError: images, a judge or layers that cannot be used, or an image with a side below 32 pixels, or, of the
            source, a longer one below 64.

    >>> source = torch.randint(0, 256, (1, 40, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    >>> scores = evaluate_texture(source.flip(2), source, patch=8)
    >>> [row.name for row in scores.rows], scores.network, scores.window
    (['drawn', 'another crop', 'source itself', 'noise'], 'filters', (40, 40))
    """
    check_count("patch", patch, least=4, most=LARGEST_PATCH)
    held, *more = _textures(source, "source")
    if more:
        raise InputError(f"source must be one image, got {1 + len(more)}; give the one that was drawn from")
    textures = _textures(drawn, "drawn")
    _check_pair(textures, held)
    (source_name, image), several = held, len(textures) > 1
    window = window_size(image, (texture for _, texture in textures))
    features = PatchFeatures.of(judge, image[:, : window[0], : window[1]], layers)
    judged = TextureSource(image, features, window, patch)
    noise, other_noise = uniform_noise(2, (len(image), *window), seed=seed)
    pairs = list(combinations(range(len(textures)), 2))
    with _steps(progress, len(textures) + len(pairs) + 3) as advance:
        apart: dict[tuple[int, int], float | None] = {}
        for one, other in pairs:
            apart[one, other] = judged.diversity(textures[one][1], textures[other][1])
            advance()
        rows = []
        for number, (name, texture) in enumerate(textures):
            own = [value for pair, value in apart.items() if number in pair and value is not None]
            rows.append(judged.row("drawn", name, texture, sum(own) / len(own) if own else None))
            advance()
        rows.append(judged.other_crop(1.0 if several else None))
        advance()
        rows.append(judged.itself(0.0 if several else None))
        advance()
        rows.append(judged.row("noise", "noise", noise, judged.diversity(noise, other_noise) if several else None))
        advance()
    return TextureScores(
        network=features.name, layers=features.layers, source=source_name, window=window, patch=patch, rows=tuple(rows)
    )


def _textures(given: object, what: str) -> list[tuple[str, Tensor]]:
    """Images uint8 (C, H, W) and their names: paths as they are written, others by what they are and their number."""
    if isinstance(given, str | PathLike):
        return [(str(given), torch.from_numpy(np.array(read_image(Path(given)))))]
    if isinstance(given, Tensor | np.ndarray):
        images = list(byte_images(given[(None,) * max(0, 4 - given.ndim)], what))
        return [(what if len(images) == 1 else f"{what} {number}", image) for number, image in enumerate(images, 1)]
    if not isinstance(given, Sequence) or not given:
        raise InputError(f"{what} must be an image or a sequence of them, got {given!r}; give paths, tensors or arrays")
    named = (_textures(each, what if len(given) == 1 else f"{what} {number}") for number, each in enumerate(given, 1))
    return [pair for each in named for pair in each]


def _check_pair(textures: Sequence[tuple[str, Tensor]], source: tuple[str, Tensor]) -> None:
    """Refuses images that are smaller than is needed, and grey ones beside coloured ones."""
    kinds = {1: "grey", 3: "coloured"}
    name, image = source
    if min(image.shape[1:]) < SMALLEST or max(image.shape[1:]) < 2 * SMALLEST:
        wanted = f"at least {SMALLEST} pixels a side, and {2 * SMALLEST} along the longer one"
        raise InputError(f"{name} is {_size(image)} pixels, but a source must have {wanted}; give a larger one")
    for drawn, texture in textures:
        if min(texture.shape[1:]) < SMALLEST:
            wanted = f"at least {SMALLEST} pixels a side"
            raise InputError(f"{drawn} is {_size(texture)} pixels, but a texture must have {wanted}; give a larger one")
        if len(texture) != len(image):
            raise InputError(f"{drawn} is {kinds[len(texture)]} but {name} is {kinds[len(image)]}; convert one of them")


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"


@contextmanager
def _steps(progress: Display | None, total: int) -> Iterator[Callable[..., None]]:
    if progress is None:
        yield lambda: None
    else:
        with progress.task("scoring textures", total) as advance:
            yield advance
