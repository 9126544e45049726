# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A bank of random filters at several sizes and scales: features of textures that need neither training nor a download.

Ustyuzhaninov, Brendel, Gatys and Bethge, "Texture Synthesis Using Shallow Convolutional Networks with Random Filters",
2016 (https://arxiv.org/abs/1606.00021): the Gram matrices of one rectified layer of random filters of several sizes
describe a texture about as well as those of a deep trained network. Where they take filters of up to 55 pixels, this
bank also applies small ones to the levels of an image pyramid (Burt and Adelson, 1983), each half as fine as the one
before, which reaches as far at a hundredth of the cost.
"""

from __future__ import annotations

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

_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt and Adelson's, with a = 3/8


class FilterBank(nn.Module):
    """relu(w∗x) for random filters w, at each level of an image pyramid; each level and size of filters is a layer.

    A filter's weights are normal noise with their mean, over all channels, taken off and of length 1, so that a feature
    does not answer to brightness. A filter depends on the seed, its size, its number and `in_channels` alone. The
    weights are constants: no parameters, and no part of a state dict.

    Layers are named `level0.size3`; level 0 is the image itself. A level that is asked for needs an image whose
    shorter side is at least `smallest_side(level)`.

    Args:
        in_channels: channels of the images.
        sizes: sides of the filters, odd.
        filters: number of filters of each size.
        levels: of the pyramid.
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
        self.in_channels, self.sizes, self.border, self.seed = in_channels, tuple(sizes), border, seed
        self.layer_names = tuple(f"level{level}.size{size}" for level in range(levels) for size in sizes)
        for size in sizes:
            self.register_buffer(f"size{size}", _weights(filters, in_channels, size, seed), persistent=False)
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
        wanted = [(int(level.removeprefix("level")), size) for level, size in (name.split(".") for name in layers)]
        for level, size in wanted:
            needed = self.smallest_side(level, int(size.removeprefix("size")))
            if min(x.shape[2:]) < needed:
                height, width = x.shape[2:]
                hint = "give a larger image, or ask for finer levels"
                raise InputError(
                    f"level{level}.{size} needs images of {needed} pixels a side, got {height}x{width}; {hint}"
                )
        kept: dict[tuple[int, str], Tensor] = {}
        for level in range(max((level for level, _ in wanted), default=-1) + 1):
            x = self._halved(x) if level else x
            for size in {size for at, size in wanted if at == level}:
                weight: Tensor = getattr(self, size)
                kept[level, size] = F.relu(F.conv2d(self._padded(x, weight.shape[-1] // 2), weight.to(x.dtype)))
        return [kept[place] for place in wanted]

    def smallest_side(self, level: int, size: int | None = None) -> int:
        """The side in pixels that an image needs at least for a level of the pyramid and a size of filters, or all."""
        size = max(self.sizes) if size is None else size
        side = size if self.border == "inside" else size // 2 + 1
        for _ in range(level):
            side = max(2 * side + 3, 5) if self.border == "inside" else max(2 * side - 1, 3)
        return side

    def forward(self, x: Tensor) -> list[Tensor]:
        """The features of all layers."""
        return self.features(x, self.layer_names)

    def _padded(self, x: Tensor, width: int) -> Tensor:
        if self.border == "inside":
            return x
        return F.pad(x, (width,) * 4, mode="reflect" if self.border == "mirror" else "circular")

    def _halved(self, x: Tensor) -> Tensor:
        """The next level: blurred, and every other pixel of it."""
        return F.conv2d(self._padded(x, 2), self._kernel.to(x.dtype), stride=2, groups=self.in_channels)


def _weights(filters: int, channels: int, size: int, seed: int) -> Tensor:
    """Filters (filters, channels, size, size) of mean 0 and length 1."""
    shape, stream = (filters, channels, size, size), noise.Stream.FILTERS
    weight = noise.normal(shape, seed=seed, step=size, chain_ids=FILTERS.ids(filters), stream=stream)
    weight -= weight.mean((1, 2, 3), keepdim=True)
    return F.normalize(weight.flatten(1)).view(shape)
