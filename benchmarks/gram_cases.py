# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The feature maps that the Gram suites compare, and the Gram matrix as tutorials on style transfer write it."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Case

CASES = (
    Case((64, 640, 8, 8), note="third group of WRN-28-10"),
    Case((64, 320, 16, 16), note="second group"),
    Case((64, 160, 32, 32), note="first group"),
    Case((100, 64, 2, 2), note="digits preset"),
)
LAYERS = 8
ALL_LAYERS = Case((64, 640, 8, 8), note=f"{LAYERS} layers in one call", marker="cuda")
"""The paper's: conv21 to conv28 of WRN-28-10."""


def eager_gram(features: Tensor) -> Tensor:
    """FFᵀ/M."""
    batch, channels, height, width = features.shape
    flat = features.reshape(batch, channels, height * width)
    return torch.bmm(flat, flat.transpose(1, 2)) / (height * width)


def eager_loss_of_layers(features: list[Tensor], references: list[Tensor]) -> Tensor:
    """The sum over layers, each held against its reference's features."""
    losses = [eager_gram_loss(f, eager_gram(r)) for f, r in zip(features, references, strict=True)]
    return torch.stack(losses).sum(0)


def eager_gram_loss(features: Tensor, target: Tensor) -> Tensor:
    """log(1 + ‖G − A‖²/‖A‖²) per sample, of the Gram matrix A = `target`."""
    square = (eager_gram(features) - target).pow(2).sum((1, 2))
    return torch.log1p(square / target.pow(2).sum((1, 2)))
