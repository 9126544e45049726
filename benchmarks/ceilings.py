# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What a machine can do at most, measured by PyTorch's own plainest calls: the roofs of a roofline.

Rates, not times, are what a kernel is held against, so each carries the bytes or operations of one call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

MATRIX = 2048
CACHED = 2**19
"""Bytes of source and destination together that fit the L2 cache of one core."""
IN_MEMORY = 2**30
"""The same beyond the last-level cache of most machines."""
FRESH = (64, 3, 224, 224)
"""A tensor of 38.5 MB: above the 32 MB from which the C library asks the system for new pages each time."""


GPU_MATRIX, GPU_CACHED, GPU_IN_MEMORY = 8192, 2**23, 2**32


class Ceiling(NamedTuple):
    """One thing to measure: `function(*draw())`, which moves so many bytes or does so many operations."""

    name: str
    unit: str
    """bytes or operations."""
    amount: int
    function: Callable[..., Any]
    draw: Callable[[], tuple[Any, ...]]


def copied(nbytes: int) -> tuple[Tensor, Tensor]:
    """Destination and source that hold so many bytes together; half of them are read, half written."""
    return torch.ones(nbytes // 8), torch.ones(nbytes // 8)


def matrices(dtype: torch.dtype, side: int) -> tuple[Tensor, Tensor, Tensor]:
    left, right = torch.randn(2, side, side).to(dtype)
    return left, right, torch.empty(side, side, dtype=dtype)


def matrix_product(left: Tensor, right: Tensor, out: Tensor) -> None:
    torch.mm(left, right, out=out)


def matrix_product_in_tf32(left: Tensor, right: Tensor, out: Tensor) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    torch.mm(left, right, out=out)
    torch.set_float32_matmul_precision(before)


def matrix_ceiling(dtype: torch.dtype, side: int = MATRIX, *, tf32: bool = False) -> Ceiling:
    name = f"matrix product {side}³, {'tf32' if tf32 else str(dtype).removeprefix('torch.')}"
    function = matrix_product_in_tf32 if tf32 else matrix_product
    return Ceiling(name, "operations", 2 * side**3, function, functools.partial(matrices, dtype, side))


FRESH_BYTES = 4 * torch.Size(FRESH).numel()
CEILINGS = (
    # One pair, drawn once: that it is found in the cache again is the point.
    Ceiling("copy in the L2 cache", "bytes", CACHED, Tensor.copy_, functools.cache(lambda: copied(CACHED))),
    Ceiling("copy in memory", "bytes", IN_MEMORY, Tensor.copy_, lambda: copied(IN_MEMORY)),
    matrix_ceiling(torch.float32),
    matrix_ceiling(torch.bfloat16),
    Ceiling("write into a kept tensor", "bytes", FRESH_BYTES, Tensor.fill_, lambda: (torch.zeros(FRESH), 1.0)),
    Ceiling("write into a fresh tensor", "bytes", FRESH_BYTES, torch.full, lambda: (FRESH, 1.0)),
)
GPU_CEILINGS = (
    Ceiling("copy in the L2 cache", "bytes", GPU_CACHED, Tensor.copy_, functools.cache(lambda: copied(GPU_CACHED))),
    Ceiling("copy in memory", "bytes", GPU_IN_MEMORY, Tensor.copy_, lambda: copied(GPU_IN_MEMORY)),
    matrix_ceiling(torch.float32, GPU_MATRIX),
    matrix_ceiling(torch.float32, GPU_MATRIX, tf32=True),
    matrix_ceiling(torch.bfloat16, GPU_MATRIX),
)
