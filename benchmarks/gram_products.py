# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The matrix products that a Gram loss with its gradient is made of: what arithmetic allows, and how many there are.

Both halves of symmetric products are counted and computed, so a kernel that leaves one out may be faster than these.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Products = Callable[[Tensor, Tensor], None]


def operations(batch: int, channels: int, size: int, reference_size: int, *, target_kept: bool = False) -> int:
    """Multiplications and additions of the cheaper form, primal or dual.

    With `target_kept` the reference's Gram matrix (primal) or ‖RᵀR‖² (dual) was taken beforehand.

    >>> operations(1, 640, 64, 64) == 2 * 640 * (2 * 64**2 + 2 * 64**2 + 64**2)
    True
    """
    return 2 * batch * channels * min(_primal_and_dual(channels, size, reference_size, target_kept))


def products(features: Tensor, reference: Tensor) -> Products:
    """The products of the cheaper form for features of such shapes, into outputs that are kept."""
    batch, channels = features.shape[:2]
    size, reference_size = features.shape[2:].numel(), reference.shape[2:].numel()
    primal, dual = _primal_and_dual(channels, size, reference_size, target_kept=False)
    new = features.new_empty
    if primal <= dual:
        matrix, target, gradient = (
            new(batch, channels, channels),
            new(batch, channels, channels),
            new(batch, channels, size),
        )

        def run_primal(features: Tensor, reference: Tensor) -> None:
            flat, other = features.flatten(2), reference.flatten(2)
            torch.bmm(flat, flat.mT, out=matrix)
            torch.bmm(other, other.mT, out=target)
            torch.bmm(matrix, flat, out=gradient)

        return run_primal

    own, cross, fixed = (
        new(batch, size, size),
        new(batch, reference_size, size),
        new(batch, reference_size, reference_size),
    )
    gradient, pull = new(batch, channels, size), new(batch, channels, size)

    def run_dual(features: Tensor, reference: Tensor) -> None:
        flat, other = features.flatten(2), reference.flatten(2)
        torch.bmm(flat.mT, flat, out=own)
        torch.bmm(other.mT, flat, out=cross)
        torch.bmm(other.mT, other, out=fixed)
        torch.bmm(flat, own, out=gradient)
        torch.bmm(other, cross, out=pull)

    return run_dual


def _primal_and_dual(channels: int, size: int, reference_size: int, target_kept: bool) -> tuple[int, int]:
    """Multiplications per channel of either form."""
    primal = channels * (2 * size + (0 if target_kept else reference_size))
    dual = 2 * size**2 + 2 * size * reference_size + (0 if target_kept else reference_size**2)
    return primal, dual
