# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Textures and styles in one call each: an image in, an image out."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from stic_fast.api.arguments import AnyImages, image_batch
from stic_fast.api.cascades import PREVIEW_EVERY, Cascade
from stic_fast.counts import Range, check_count
from stic_fast.data.image_file import read_image
from stic_fast.errors import InputError
from stic_fast.evaluation import fit_images
from stic_fast.models.gradients import outside_inference
from stic_fast.ops.checks import check_seed
from stic_fast.pixels import to_bytes, to_unit
from stic_fast.textures import GramSynthesis, Watch, features_of
from stic_fast.textures.gram_synthesis import LARGEST, SMALLEST
from stic_fast.training import Progress, TrainedRun

Engine = Literal["gram", "igm"]
"""What draws: "gram" descends from noise to the source's Gram matrices, in seconds; "igm" is a cascade of classifiers
that is trained on the source, for minutes, and then draws as often as it is asked."""
Picture = AnyImages | str | os.PathLike[str]
"""One image: uint8 or floats in [−1, 1], (C, H, W) with one or three channels; or an image file's path."""
MOST_PIXELS = 2**26
"""Of an image file: some 200 megabytes as it is read."""
FIDELITY, CASCADES_FIDELITY = 0.1, 0.95
"""How far a styled image keeps to its content: by Gram matrices; by a cascade, where α weighs means over pixels against
means over patches, and the paper's 0.3 leaves nothing of a photograph."""


@outside_inference
def texture(
    image: Picture | TrainedRun,
    *,
    size: tuple[int, int] = (256, 256),
    engine: Engine = "gram",
    seed: int = 0,
    tile: bool = False,
    network: nn.Module | TrainedRun | None = None,
    layers: Sequence[str] = (),
    steps: int = 75,
    on_preview: Callable[[Tensor], None] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Draws more of an image's texture, as `stic-fast texture` does.

        wall = stic_fast.texture("bricks.png", size=(512, 512))
        wall = stic_fast.texture(stic_fast.train("igm", data="image:bricks.png"), size=(512, 512))

    Args:
        image: the source; or a run of "igm" that was trained on it, whose cascade then draws: of what follows it takes
            size, seed, tile, and whom to tell.
        size: height and width of what is drawn, larger or smaller than the source.
        engine: for an image, "gram" alone, see `Engine`.
        seed: of the noise that it starts from.
        tile: whether copies of what is drawn are to fit together, side by side and one above the other. Those of a
            cascade always do, unless it was trained with a margin.
        network: whose features are compared: a trained run, whose images' colours the source is brought to, or a module
            that reads floats in [−1, 1]; None for fixed random filters, see `stic_fast.models.FilterBank`.
        layers: of the network, by name; none for those that a classifier's Gram term compares.
        steps: evaluations of the loss at full size.
        on_preview: called with the image so far, uint8 (C, H, W), every few steps.
        progress: told how far it is; silent if None.

    Returns:
        uint8 (C, H, W), on the CPU.

    Raises:
        InputError: an image, a size, an engine, a network or layers that cannot be used, a number out of its range, or
            more than this machine has memory for.
        Diverged: the descent left the finite numbers.

    >>> texture(torch.zeros(1, 16, 16), size=(16, 24), steps=1).shape
    torch.Size([1, 16, 24])
    """
    _check(engine, seed, steps, size)
    if isinstance(image, TrainedRun):
        return Cascade.of(image, on_preview, progress).texture(size, seed, tile=tile)
    source = _for_network(read_picture(image), network)
    synthesis = _synthesis(source, network, layers, steps=steps, seed=seed, tile=tile)
    with (progress or Progress()).task("texture", synthesis.total_steps(size)) as advance:
        return synthesis.texture(size, _watch(advance, on_preview))


@outside_inference
def stylize(
    content: Picture,
    style: Picture | TrainedRun,
    *,
    size: tuple[int, int] | None = None,
    engine: Engine = "gram",
    fidelity: float | None = None,
    network: nn.Module | TrainedRun | None = None,
    layers: Sequence[str] = (),
    steps: int = 75,
    on_preview: Callable[[Tensor], None] | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Draws one image in the style of another, as `stic-fast stylize` does.

    Args:
        content: what is to be seen.
        style: whose colours and textures it is given, once it is resized to about as many pixels as the result; grey
            makes the result grey. Or a run of "igm" that was trained on it, whose cascade the content then climbs: of
            what follows it takes size, fidelity, and whom to tell.
        size: height and width of the result, to which the content is resized, cut to the middle where it has another
            shape; None for its own.
        fidelity: α, from 0 to 1, how far the result keeps to the content; 0.1 if None, and 0.95 of a cascade. 1 is the
            content, by "gram" in the style's colours.
        engine, network, layers, steps, on_preview, progress: as for `texture`.

    Returns:
        uint8 (C, H, W), on the CPU.

    Raises:
        InputError, Diverged: as for `texture`.

    >>> stylize(torch.zeros(3, 20, 16), torch.zeros(1, 16, 16), steps=1).shape
    torch.Size([1, 20, 16])
    """
    if fidelity is not None:
        Range(0, 1).check("fidelity", fidelity)
    _check(engine, 0, steps, size)
    if isinstance(style, TrainedRun):
        cascade, picture = Cascade.of(style, on_preview, progress), read_picture(content)
        picture = fit_images(picture, (style.image_shape[0], *(size or picture.shape[2:])))
        return cascade.stylized(to_unit(picture), CASCADES_FIDELITY if fidelity is None else fidelity)
    source, subject = _for_network(read_picture(style), network), read_picture(content)
    subject = fit_images(subject, (source.shape[1], *(size or subject.shape[2:])))
    source = as_large_as(subject, source)
    synthesis = _synthesis(source, network, layers, steps=steps)
    with (progress or Progress()).task("stylized image", synthesis.total_steps(subject.shape[2:])) as advance:
        watch = _watch(advance, on_preview)
        return synthesis.stylized(to_unit(subject), fidelity=FIDELITY if fidelity is None else fidelity, watch=watch)


def read_picture(picture: Picture) -> Tensor:
    """One image as uint8 (1, C, H, W).

    Raises:
        InputError: a file that cannot be read as an image, several images, or channels other than one or three.

    >>> read_picture(torch.zeros(3, 8, 8)).shape
    torch.Size([1, 3, 8, 8])
    """
    if isinstance(picture, str | os.PathLike):
        path = Path(picture)
        if not path.is_file():
            raise InputError(f"there is no image file {path}; give a PNG, a JPEG or another image")
        return torch.from_numpy(read_image(path, most_pixels=MOST_PIXELS).copy())[None]
    shape = tuple(getattr(picture, "shape", ()))[-3:]
    images = image_batch(picture, shape if len(shape) == 3 else (3, SMALLEST, SMALLEST)).cpu()
    if len(images) != 1 or images.shape[1] not in (1, 3):
        raise InputError(f"a picture must be one image (C, H, W), grey or RGB, got shape {tuple(images.shape)}")
    return images if images.dtype == torch.uint8 else to_bytes(images)


def as_large_as(image: Tensor, source: Tensor) -> Tensor:
    """A source with about as many pixels as an image, so that its strokes are as wide whatever its resolution.

    >>> as_large_as(torch.zeros(1, 3, 32, 32), torch.zeros(1, 1, 64, 256, dtype=torch.uint8)).shape
    torch.Size([1, 1, 16, 64])
    """
    height, width = source.shape[2:]
    scale = math.sqrt(image[0, 0].numel() / (height * width))
    return fit_images(source, (source.shape[1], *(max(round(scale * side), SMALLEST) for side in (height, width))))


def _check(engine: str, seed: int, steps: int, size: tuple[int, int] | None) -> None:
    if engine == "igm":
        hint = 'give the run that stic_fast.train("igm", data="image:PATH") makes in the place of the image'
        raise InputError(f"engine igm draws with a cascade that has been trained; {hint}")
    if engine not in get_args(Engine):
        raise InputError(f"unknown engine {engine!r}; choose one of {', '.join(get_args(Engine))}")
    check_seed(seed)
    check_count("steps", steps)
    for name, side in zip(("height", "width"), size or (), strict=False):
        check_count(f"the {name} of what is drawn", side, least=SMALLEST, most=LARGEST)


def _for_network(image: Tensor, network: nn.Module | TrainedRun | None) -> Tensor:
    """The image in the colours that a run's classifier reads."""
    if not isinstance(network, TrainedRun):
        return image
    return fit_images(image, (network.image_shape[0], *image.shape[2:]))


def _synthesis(
    source: Tensor,
    network: nn.Module | TrainedRun | None,
    layers: Sequence[str],
    *,
    steps: int,
    seed: int = 0,
    tile: bool = False,
) -> GramSynthesis:
    module = network.model if isinstance(network, TrainedRun) else network
    features = features_of(module, layers, source.shape[1], tile=tile)
    return GramSynthesis(to_unit(source), features, steps=steps, seed=seed, tile=tile)


def _watch(advance: Callable[..., None], on_preview: Callable[[Tensor], None] | None) -> Watch:
    done = 0

    def watch(image: Callable[[], Tensor]) -> None:
        nonlocal done
        done += 1
        advance()
        if on_preview is not None and done % PREVIEW_EVERY == 0:
            on_preview(image())

    return watch
