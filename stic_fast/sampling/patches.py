# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Canvases of any size, of which a network is shown random patches (Introspective Generative Modeling, section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from stic_fast.counts import CountOrZero, NotNegative, Positive, Range, check_ranges
from stic_fast.errors import InputError
from stic_fast.ops import noise
from stic_fast.sampling.space import Space

Side = Annotated[tuple[int, int], Range(1, 2**15)]


@dataclass(frozen=True)
class PatchSpace(Space):
    """Images whose every pixel is moved by the patches that cover it.

    At each step the network is shown random patches of a state, and a pixel moves by the mean of the gradients of
    those that cover it (equation 15). Chains start from normal noise.

    Raises:
        InputError: a setting out of its range, or a patch that is larger than the canvas.

    >>> space = PatchSpace((3, 100, 80), patch=(64, 64), cover=2.5)
    >>> x = space.start(torch.arange(2), seed=0)
    >>> space.view(x, seed=0, step=0, chain_ids=torch.arange(2)).shape
    torch.Size([10, 3, 64, 64])
    """

    shape: tuple[int, int, int] | None = None
    """(channels, height, width) of the images; None for that of the real images."""
    patch: Side | None = (64, 64)
    """Height and width of a patch; None for images that are shown as they are."""
    cover: Positive = 1.0
    """How often a pixel is covered at a step, on average: so many patches of a state the network is shown."""
    margin: CountOrZero | None = None
    """Pixels around the image that let patches reach beyond its edge, and are cut off in the end; None for canvases
    that wrap around instead, whose images tile without a seam."""
    sigma: NotNegative = 0.3
    """Standard deviation of the noise that chains start from, in units of [−1, 1]; clamped to that box."""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.patch is None and self.margin:
            raise InputError(f"a margin is for patches to reach into, got margin={self.margin} without; leave it out")
        if self.shape is not None and self.patch is not None:
            for side, whole in zip(self.patch, self.canvas_shape[1:], strict=True):
                if side > whole:
                    raise InputError(
                        f"a patch must fit into the canvas, {self.canvas_shape[1:]}, got {self.patch}; give a smaller "
                        "one, or a larger image"
                    )

    @property
    def canvas_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a state: the image and its margin."""
        if self.shape is None:
            raise InputError("a space without a shape has no start; give PatchSpace(shape=(channels, height, width))")
        channels, height, width = self.shape
        return channels, height + 2 * (self.margin or 0), width + 2 * (self.margin or 0)

    @property
    def count(self) -> int:
        """Patches of a state that the network is shown at a step."""
        if self.patch is None:
            return 1
        return math.ceil(round(self.cover * math.prod(self.canvas_shape[1:]) / math.prod(self.patch), 9))

    def of_images(self, image_shape: Sequence[int]) -> PatchSpace:
        channels, height, width = image_shape
        return self if self.shape is not None else replace(self, shape=(channels, height, width))

    def of_size(self, height: int, width: int) -> PatchSpace:
        """The space of images of another size.

        >>> PatchSpace((3, 128, 128)).of_size(256, 512).count
        32
        """
        return replace(self, shape=(self.canvas_shape[0], height, width))

    def shown(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        return self.of_images(image_shape).count, image_shape[0], *(self.patch or image_shape[1:])

    def start(self, chain_ids: Tensor, *, seed: int, step: int = 0) -> Tensor:
        where: dict[str, Any] = {"seed": seed, "step": step, "chain_ids": chain_ids, "device": chain_ids.device}
        shape = (len(chain_ids), *self.canvas_shape)
        return (self.sigma * noise.normal(shape, stream=noise.Stream.CHAIN_INIT, **where)).clamp_(-1, 1)

    def encode(self, images: Tensor) -> Tensor:
        """Images amid mirrored copies of themselves, as far as the margin goes."""
        if not self.margin:
            return images
        rows, columns = (_mirrored(side, self.margin, images.device) for side in images.shape[2:])
        return images[:, :, rows[:, None], columns]

    def decode(self, x: Tensor) -> Tensor:
        edge = self.margin or 0
        return x[:, :, edge : x.shape[2] - edge, edge : x.shape[3] - edge]

    def view(self, x: Tensor, *, seed: int, step: int | Tensor, chain_ids: Tensor | None) -> Tensor:
        """Patches (chains·count, channels, *patch), state by state."""
        if self.patch is None:
            return x
        draws = noise.uniform(
            (len(x), 2 * self.count),
            seed=seed,
            step=step,
            chain_ids=chain_ids,
            stream=noise.Stream.PATCH,
            device=x.device,
        )
        corners = corners_of(draws.view(-1, 2), x.shape[2:], self.patch, wrap=self.margin is None)
        seen: Tensor = _Cut.apply(x, corners, self.patch)  # type: ignore[no-untyped-call]
        return seen


def corners_of(draws: Tensor, sides: Sequence[int], patch: Sequence[int], *, wrap: bool) -> Tensor:
    """Where patches begin, int64 (N, 2), from uniform draws (N, 2).

    Args:
        sides: height and width of what they are cut from.
        wrap: whether they may reach around its edge.

    >>> corners_of(torch.tensor([[0.0, 0.999]]), (100, 80), (64, 64), wrap=False)
    tensor([[ 0, 16]])
    """
    places = [side if wrap else side - own + 1 for side, own in zip(sides, patch, strict=True)]
    return torch.stack([(draws[:, axis].double() * count).long() for axis, count in enumerate(places)], 1)


def cut(x: Tensor, corners: Tensor, patch: Sequence[int]) -> Tensor:
    """Patches (N, channels, *patch) that begin at corners (N, 2), as many of each image in x, around its edges.

    >>> cut(torch.arange(9.0).view(1, 1, 3, 3), torch.tensor([[2, 2]]), (2, 2)).flatten()
    tensor([8., 6., 2., 0.])
    """
    places = _places(x.shape, corners, patch)
    pixels = x.flatten(2).gather(2, places.expand(-1, x.shape[1], -1))
    each = len(corners) // max(len(x), 1)
    return pixels.view(*x.shape[:2], each, *patch).transpose(1, 2).flatten(0, 1)


class _Cut(torch.autograd.Function):
    """`cut`, whose gradient in a pixel is the mean, not the sum, over the patches that cover it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, corners: Tensor, patch: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(corners)
        ctx.shape, ctx.patch = x.shape, patch
        return cut(x, corners, patch)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (corners,) = gradients, ctx.saved_tensors
        chains, channels, height, width = ctx.shape
        places = _places(ctx.shape, corners, ctx.patch)
        each = len(corners) // max(chains, 1)
        pixels = gradient.view(chains, each, *gradient.shape[1:]).transpose(1, 2).flatten(2)
        summed = gradient.new_zeros(chains, channels, height * width)
        summed.scatter_add_(2, places.expand(-1, channels, -1), pixels)
        covered = gradient.new_zeros(chains, 1, height * width)
        covered.scatter_add_(2, places, torch.ones_like(pixels[:, :1]))
        return (summed / covered.clamp_(min=1)).view(ctx.shape), None, None


def _places(shape: Sequence[int], corners: Tensor, patch: Sequence[int]) -> Tensor:
    """The pixels of each image's patches, (images, 1, patches·pixels), as places in its flattened plane."""
    rows, columns = (
        (corners[:, axis, None] + torch.arange(side, device=corners.device)) % shape[2 + axis]
        for axis, side in enumerate(patch)
    )
    each = len(corners) // max(shape[0], 1) * math.prod(patch)
    return (rows[:, :, None] * shape[3] + columns[:, None]).view(shape[0], 1, each)


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    """The places −margin .. side + margin − 1 of a line that is mirrored at its ends."""
    places = torch.arange(-margin, side + margin, device=device) % (2 * side)
    return torch.minimum(places, 2 * side - 1 - places)
