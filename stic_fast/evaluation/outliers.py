# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Sets of images from outside the training distribution, none of which needs a download.

GMMC, section 4.3, takes other image sets and interpolations of the training set; noise, constant images and shuffled
pixels are the ones every machine has. All are uint8 (N, C, H, W), a pure function of the seed and the image's number.
Images and numbers of another kind are refused by an InputError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.evaluation.checks import check_images, check_positive
from stic_fast.evaluation.noise_seed import noise_seed
from stic_fast.ops import noise
from stic_fast.pixels import to_bytes

LUMA = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601, as Pillow's mode "L"


def uniform_noise(count: int, image_shape: Sequence[int], *, seed: int) -> Tensor:
    """Images uint8 (count, *image_shape), every value drawn evenly from 0 .. 255; image i is the same for any count.

    >>> torch.equal(uniform_noise(5, (3, 8, 8), seed=0)[:2], uniform_noise(2, (3, 8, 8), seed=0))
    True
    """
    return _bytes((count, *image_shape), seed, "uniform outliers")


def gaussian_noise(count: int, image_shape: Sequence[int], *, seed: int, deviation: float = 1.0) -> Tensor:
    """As `uniform_noise`, but normal about the middle of [−1, 1] and clamped to it; the deviation is above 0.

    >>> images = gaussian_noise(4, (1, 64, 64), seed=0, deviation=0.25)
    >>> round(float(images.float().std() / 127.5), 2)
    0.25
    """
    check_positive("deviation", deviation)
    key = noise_seed(seed, "gaussian outliers")
    return to_bytes(deviation * noise.normal((count, *image_shape), seed=key, stream=noise.Stream.CHAIN_INIT))


def constant_images(count: int, image_shape: Sequence[int], *, seed: int) -> Tensor:
    """As `uniform_noise`, but images of a single colour, each channel's value drawn evenly.

    >>> constant_images(4, (3, 8, 8), seed=0).flatten(2).float().std(dim=2).max()
    tensor(0.)
    """
    channels, height, width = image_shape
    colours = _bytes((count, channels, 1, 1), seed, "constant outliers")
    return colours.expand(count, channels, height, width).contiguous()


def shuffled_pixels(images: Tensor, *, seed: int) -> Tensor:
    """Images, uint8 (N, C, H, W), with their pixels in random order: the colours stay, the shapes go.

    The channels of a pixel stay together. The order of image i depends on the seed, i and H·W alone.

    >>> images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
    >>> shuffled_pixels(images, seed=0).flatten().sort().values.equal(images.flatten())
    True
    """
    check_images(images)
    keys = _uniform((len(images), images[0, 0].numel()), seed, "shuffled outliers").to(images.device)
    order = keys.argsort(dim=1, stable=True)
    pixels = images.flatten(2)
    return pixels.gather(2, order.unsqueeze(1).expand_as(pixels)).view_as(images)


def interpolated(images: Tensor, *, seed: int) -> Tensor:
    """The mean of each image and another one of the set, uint8 (N, C, H, W): "CIFAR10 Interp" of GMMC's Table 3.

    The partner is the image's successor in one random cycle through all, so none is its own, and N is at least 2.

    >>> interpolated(torch.tensor([0, 200], dtype=torch.uint8).view(2, 1, 1, 1), seed=0).flatten()
    tensor([100, 100], dtype=torch.uint8)
    """
    check_images(images, least=2)
    cycle = _uniform((len(images), 1), seed, "interpolated outliers")[:, 0].argsort(stable=True).to(images.device)
    partner = torch.empty_like(cycle)
    partner[cycle] = cycle.roll(-1)
    return ((images.int() + images[partner].int() + 1) // 2).to(torch.uint8)


def fit_images(images: Tensor, image_shape: Sequence[int], *, batch_size: int = 256) -> Tensor:
    """Another set's images in a run's shape: resized to cover it, cut to the middle, recoloured.

    The resizing is bilinear and antialiased. Grey becomes RGB by repetition, RGB grey by its luma, 0.299 R +
    0.587 G + 0.114 B.

    Args:
        images: uint8 (N, 1 or 3, h, w).
        image_shape: (C, H, W), C = 1 or 3.
        batch_size: images at a time.

    Returns:
        uint8 (N, C, H, W).

    Raises:
        InputError: images of another type or none, or channels that are neither equal nor 1 and 3.

    >>> fit_images(torch.full((2, 1, 28, 28), 7, dtype=torch.uint8), (3, 32, 32))[1, 2, 31, 31]
    tensor(7, dtype=torch.uint8)
    """
    check_images(images)
    if images.shape[1] != image_shape[0] and {images.shape[1], image_shape[0]} != {1, 3}:
        raise InputError(
            f"images with {images.shape[1]} channels cannot be given {image_shape[0]}; only 1 (grey) and 3 (RGB) are "
            "turned into each other"
        )
    return torch.cat([_fitted(part, image_shape) for part in torch.split(images, batch_size)])


def outlier_sets(images: Tensor, *, seed: int, others: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The outlier sets for a run's test images, by name, each with as many images of the same shape.

    Args:
        images: uint8 (N, C, H, W), N > 1, in-distribution.
        seed: fixes everything random.
        others: further image sets, uint8, by name; brought into shape by `fit_images`, at most N of each.

    Raises:
        InputError: as `fit_images` and `interpolated`.

    >>> images = uniform_noise(4, (1, 8, 8), seed=1)
    >>> list(outlier_sets(images, seed=0, others={"photos": torch.zeros(9, 3, 30, 40, dtype=torch.uint8)}))
    ['uniform noise', 'Gaussian noise', 'constant', 'shuffled pixels', 'interpolated', 'photos']
    """
    check_images(images)
    count, shape = len(images), tuple(images.shape[1:])
    sets = {
        "uniform noise": uniform_noise(count, shape, seed=seed),
        "Gaussian noise": gaussian_noise(count, shape, seed=seed),
        "constant": constant_images(count, shape, seed=seed),
        "shuffled pixels": shuffled_pixels(images, seed=seed),
        "interpolated": interpolated(images, seed=seed),
    }
    for name, other in (others or {}).items():
        if name in sets:
            raise InputError(f"the outlier set {name!r} is built in; name the other image set differently")
        sets[name] = fit_images(other[:count], shape)
    return sets


def _fitted(images: Tensor, image_shape: Sequence[int]) -> Tensor:
    channels, *wanted = image_shape
    x, (height, width) = images.float(), wanted
    scale = max(height / x.shape[2], width / x.shape[3])
    # max: rounding must not leave a side short of what is cut out of it
    size = [max(side, round(own * scale)) for side, own in zip(wanted, x.shape[2:], strict=True)]
    if list(x.shape[2:]) != size:
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    x = x[:, :, top : top + height, left : left + width]
    if x.shape[1] == 3 and channels == 1:
        x = (x * torch.tensor(LUMA, device=x.device).view(3, 1, 1)).sum(dim=1, keepdim=True)
    return x.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1).contiguous()


def _uniform(shape: Sequence[int], seed: int, purpose: str) -> Tensor:
    return noise.uniform(shape, seed=noise_seed(seed, purpose), stream=noise.Stream.CHAIN_INIT)


def _bytes(shape: Sequence[int], seed: int, purpose: str) -> Tensor:
    """All 256 equally likely."""
    return (_uniform(shape, seed, purpose) * 256).to(torch.uint8)
