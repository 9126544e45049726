# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How near drawn images lie to the training images: whether a sampler draws or copies."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.counts import check_count
from stic_fast.evaluation.checks import check_images, check_one_size

_OTHERS = 2000  # training images compared at a time: with the default batch, 8 MB of distances


def nearest_distances(images: Tensor, training_images: Tensor, *, batch_size: int = 500) -> Tensor:
    """The Euclidean distance in [−1, 1] from each image to the training image nearest to it.

    Compare the mean with that of held-out real images: drawn images that lie much nearer are copies. The squared
    distance of bytes is a whole number and is counted exactly, so a copy lies at 0 and a near copy where it is.

    Args:
        images: uint8 (N, C, H, W).
        training_images: uint8 (M, C, H, W), M > 0, on the same device.
        batch_size: images compared at a time; it does not change the result.

    Returns:
        float32 (N,).

    Raises:
        InputError: images that are no bytes, shapes that differ, no training images, or a batch size below 1.

    >>> black, white = torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    >>> nearest_distances(torch.cat([white, black]), black)
    tensor([4., 0.])
    """
    check_count("batch_size", batch_size)
    check_images(images, least=0)
    check_images(training_images, what="training_images")
    check_one_size(images, training_images, what=("images", "training_images"))
    squares = torch.full((len(images),), torch.inf, dtype=torch.float64, device=images.device)
    for others in torch.split(training_images, _OTHERS):
        for part, found in zip(torch.split(images, batch_size), torch.split(squares, batch_size), strict=True):
            torch.minimum(found, _squared_distances(part, others).amin(1), out=found)
    return (squares.sqrt() / 127.5).float()


def _squared_distances(images: Tensor, others: Tensor) -> Tensor:
    """Σ (a − b)² over bytes as ‖a‖² + ‖b‖² − 2a·b, (N, M): exact in float64, which holds all whole numbers to 2⁵³."""
    left, right = images.flatten(1).double(), others.flatten(1).double()
    own = left.square().sum(1, keepdim=True) + right.square().sum(1)
    return torch.addmm(own, left, right.T, alpha=-2)
