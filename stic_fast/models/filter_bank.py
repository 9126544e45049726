# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A bank of random filters at several sizes and scales: features of textures that need neither training nor a download.

Ustyuzhaninov, Brendel, Gatys and Bethge, "Texture Synthesis Using Shallow Convolutional Networks with Random Filters",
2016 (https://arxiv.org/abs/1606.00021): the Gram matrices of one rectified layer of random filters of several sizes
describe a texture about as well as those of a deep trained network. Where they take filters of up to 55 pixels, this
bank also applies small ones to the levels of an image pyramid (Burt and Adelson, 1983), each half as fine as the one
before, which reaches as far at a hundredth of the cost. A second layer of random filters, which reads the responses of
the first as scattering networks do (Bruna and Mallat, 2013), sees which edges stand beside which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.counts import check_count
from stic_fast.errors import InputError
from stic_fast.models.classifier import check_image_batch, check_layer_names
from stic_fast.noise_addresses import FILTERS
from stic_fast.ops import noise

Border = Literal["inside", "mirror", "tile"]
"""What filters read at an image's border: nothing beyond it, so that features are smaller than the image; the image
mirrored at its border; or the image's other end, as if it tiled the plane."""

SECOND = "second"
"""The kind of a second layer, in its name."""
_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt and Adelson's, with a = 3/8


class FilterBank(nn.Module):
    """relu(w∗x) for random filters w, at each level of an image pyramid; each level and size of filters is a layer.

    A filter's weights are normal noise with their mean, over all channels, taken off and of length 1, so that a feature
    does not answer to brightness. A filter depends on the seed, its size, its number and its channels alone. The
    weights are constants: no parameters, and no part of a state dict.

    Layers are named `level0.size3`; level 0 is the image itself. With `second`, a level has one layer more, such as
    `level0.second`: 3x3 filters, with mean 0 in every channel, on the features of its largest size, averaged over 2x2
    pixels. A layer that is asked for needs an image whose shorter side is at least `smallest_side(layer)`.

    Args:
        in_channels: channels of the images.
        sizes: sides of the filters, odd.
        filters: number of filters of each size.
        levels: of the pyramid.
        second: number of filters in each second layer; 0 for none.
        border: what filters read beyond the image.
        seed: of the weights.

    Raises:
        InputError: an argument is out of its range; from `features`: an unknown layer, images of another shape, or too
            small ones.

    >>> bank = FilterBank(in_channels=1, sizes=(3, 5), filters=16, levels=2)
    >>> bank.layer_names
    ('level0.size3', 'level0.size5', 'level1.size3', 'level1.size5')
    >>> [tuple(feature.shape) for feature in bank.features(torch.zeros(2, 1, 21, 32), ["level1.size5", "level0.size3"])]
    [(2, 16, 11, 16), (2, 16, 21, 32)]
    """

    _kernel: Tensor

    def __init__(
        self,
        *,
        in_channels: int = 3,
        sizes: Sequence[int] = (3, 7),
        filters: int = 64,
        levels: int = 4,
        second: int = 0,
        border: Border = "mirror",
        seed: int = 0,
    ) -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "filters": filters, "levels": levels}.items():
            check_count(name, value)
        if not sizes or len(set(sizes)) < len(sizes) or any(size < 3 or size % 2 == 0 for size in sizes):
            raise InputError(f"sizes must be different odd numbers of at least 3, got {tuple(sizes)}; usual is (3, 7)")
        if border not in get_args(Border):
            raise InputError(f"unknown border {border!r}; choose one of {', '.join(get_args(Border))}")
        check_count("second", second, least=0)
        self.in_channels, self.sizes, self.border, self.seed = in_channels, tuple(sizes), border, seed
        kinds = [f"size{size}" for size in sizes]
        for size, kind in zip(sizes, kinds, strict=True):
            self.register_buffer(kind, _weights(filters, in_channels, size, seed, step=size), persistent=False)
        if second:
            kinds.append(SECOND)
            self.register_buffer(SECOND, _weights(second, filters, 3, seed, step=0, over=(2, 3)), persistent=False)
        self.layer_names = tuple(f"level{level}.{kind}" for level in range(levels) for kind in kinds)
        blur = torch.tensor(_BLUR)
        kernel = torch.outer(blur, blur).expand(in_channels, 1, -1, -1).contiguous()
        self.register_buffer("_kernel", kernel, persistent=False)

    def features(self, x: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """The features of the named layers.

        Args:
            x: float images, (B, in_channels, H, W), any H and W that the layers allow.
            layers: names out of `layer_names`, in any order.

        Returns:
            One feature (B, filters, H', W') per name, in the order asked. At level l, H' is H / 2^l, rounded up; with
            border "inside" it is less by what the filters reach beyond.
        """
        check_layer_names(layers, self.layer_names, argument="layers")
        check_image_batch(x, self.in_channels)
        if not x.is_floating_point():
            raise InputError(f"x must be float images in [-1, 1], got {x.dtype}; bytes become that by x / 127.5 - 1")
        for name in layers:
            if min(x.shape[2:]) < self.smallest_side(name):
                needed, (height, width) = self.smallest_side(name), x.shape[2:]
                hint = "give a larger image, or ask for finer levels"
                raise InputError(f"{name} needs images of {needed} pixels a side, got {height}x{width}; {hint}")
        places = [_place(name) for name in layers]
        kept: dict[tuple[int, str], Tensor] = {}
        for level in range(max((level for level, _ in places), default=-1) + 1):
            x = self._halved(x) if level else x
            for kind in {kind for at, kind in places if at == level}:
                kept[level, kind] = self._second(x) if kind == SECOND else self._filtered(x, kind)
        return [kept[place] for place in places]

    def smallest_side(self, layer: str) -> int:
        """The side in pixels that an image needs at least for a layer."""
        level, kind = _place(layer)
        inside, size = self.border == "inside", max(self.sizes) if kind == SECOND else int(kind.removeprefix("size"))
        side = size if inside else size // 2 + 1
        if kind == SECOND:  # 3 averages of two pixels each, the last perhaps of one; or 2, to be mirrored
            side = side + 4 if inside else max(side, 3)
        for _ in range(level):
            side = 2 * side + 3 if inside else max(2 * side - 1, 3)
        return side

    @property
    def step(self) -> int:
        """Pixels that a feature stands for, at most; a cut at a multiple of it goes through no feature."""
        return max(map(self.scale, self.layer_names))

    def scale(self, layer: str) -> int:
        """Pixels of the image, each way, for one feature of a layer."""
        level, kind = _place(layer)
        return 1 << (level + (kind == SECOND))

    def reach(self, layers: Sequence[str]) -> tuple[int, int]:
        """Pixels before and after a part of the image that its features depend on at most, as multiples of `step`.

        With border "inside" a feature begins at its own place, and reads what follows.
        """
        if self.border == "inside":
            return 0, _up(max(map(self.smallest_side, layers), default=0), self.step)
        farthest = 0
        for level, kind in map(_place, layers):
            beyond = max(self.sizes) // 2 + 2 if kind == SECOND else int(kind.removeprefix("size")) // 2
            for _ in range(level):
                beyond = 2 * beyond + 2
            farthest = max(farthest, beyond)
        return _up(farthest, self.step), _up(farthest, self.step)

    def forward(self, x: Tensor) -> list[Tensor]:
        """The features of all layers."""
        return self.features(x, self.layer_names)

    def _filtered(self, x: Tensor, kind: str) -> Tensor:
        weight: Tensor = getattr(self, kind)
        return F.relu(F.conv2d(self._padded(x, weight.shape[-1] // 2), weight.to(x.dtype)))

    def _second(self, x: Tensor) -> Tensor:
        return self._filtered(F.avg_pool2d(self._filtered(x, f"size{max(self.sizes)}"), 2, ceil_mode=True), SECOND)

    def _padded(self, x: Tensor, width: int) -> Tensor:
        if self.border == "inside":
            return x
        return F.pad(x, (width,) * 4, mode="reflect" if self.border == "mirror" else "circular")

    def _halved(self, x: Tensor) -> Tensor:
        """The next level: blurred, and every other pixel of it."""
        return F.conv2d(self._padded(x, 2), self._kernel.to(x.dtype), stride=2, groups=self.in_channels)


def _up(value: int, step: int) -> int:
    return math.ceil(value / step) * step


def _place(layer: str) -> tuple[int, str]:
    """The level and the kind of filters that a layer's name tells."""
    level, _, kind = layer.partition(".")
    return int(level.removeprefix("level")), kind


def _weights(
    filters: int, channels: int, size: int, seed: int, *, step: int, over: tuple[int, ...] = (1, 2, 3)
) -> Tensor:
    """Filters (filters, channels, size, size) of length 1, and of mean 0 over those dimensions."""
    shape, stream = (filters, channels, size, size), noise.Stream.FILTERS
    weight = noise.normal(shape, seed=seed, step=step, chain_ids=FILTERS.ids(filters), stream=stream)
    weight -= weight.mean(over, keepdim=True)
    return F.normalize(weight.flatten(1)).view(shape)
