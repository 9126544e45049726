# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Images as bytes, how they are kept, and as floats in [−1, 1], how networks and chains see them."""

from __future__ import annotations

import torch
from torch import Tensor


def to_unit(images: Tensor) -> Tensor:
    """uint8 0 .. 255 to float32 in [−1, 1].

    >>> to_unit(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.,  1.])
    """
    return images.float() / 127.5 - 1


def as_unit(images: Tensor) -> Tensor:
    """Images in either form as floats in [−1, 1]: bytes as `to_unit` has them, floats as they are.

    >>> as_unit(torch.tensor([255], dtype=torch.uint8)), as_unit(torch.tensor([0.5]))
    (tensor([1.]), tensor([0.5000]))
    """
    return to_unit(images) if images.dtype == torch.uint8 else images


def to_bytes(x: Tensor) -> Tensor:
    """Float images in [−1, 1] to uint8, rounded to nearest.

    >>> to_bytes(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
