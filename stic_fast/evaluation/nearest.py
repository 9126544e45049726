# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How near drawn images lie to the training images: whether a sampler draws or copies."""

from __future__ import annotations

import torch
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.pixels import to_unit


def nearest_distances(images: Tensor, training_images: Tensor, *, batch_size: int = 500) -> Tensor:
    """The Euclidean distance in [−1, 1] from each image to the training image nearest to it.

    Compare the mean with that of held-out real images: drawn images that lie much nearer are copies.

    Args:
        images: uint8 (N, C, H, W).
        training_images: uint8 (M, C, H, W), M > 0, on the same device.
        batch_size: images compared at a time.

    Returns:
        float32 (N,).

    Raises:
        InputError: image shapes that differ, or no training images.

    >>> black, white = torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    >>> nearest_distances(torch.cat([white, black]), black)
    tensor([4., 0.])
    """
    if images.shape[1:] != training_images.shape[1:] or not len(training_images):
        raise InputError(
            f"images of shape {tuple(images.shape)} cannot be compared with training images of shape "
            f"{tuple(training_images.shape)}; give at least one training image of the same size"
        )
    others = to_unit(training_images).flatten(1)
    parts = [torch.cdist(to_unit(part).flatten(1), others).amin(1) for part in torch.split(images, batch_size)]
    return torch.cat(parts) if parts else torch.empty(0, device=images.device)
