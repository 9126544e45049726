# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the convolutional networks have in common: options in their ranges, images of the right shape, and the head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from stic_fast.errors import InputError

GROUPS = 3
"""Of layers, each of twice the channels of the one before."""


def draw_head(head: nn.Linear) -> None:
    """Draws the weights anew so that logits start within about 0.3, the softmax near uniform.

    The pooled features are of order 1.
    """
    nn.init.normal_(head.weight, std=0.3 / math.sqrt(head.in_features))
    nn.init.zeros_(head.bias)


def pooled_logits(head: nn.Linear, feature: Tensor) -> Tensor:
    """The logits (B, C) of the mean over positions of a feature (B, channels, H, W).

    They have the weights' precision under autocast too: bfloat16 would round log p(y|x) to three digits.

    >>> pooled_logits(nn.Linear(64, 10), torch.zeros(2, 64, 8, 8)).shape
    torch.Size([2, 10])
    """
    pooled = feature.mean((2, 3), dtype=head.weight.dtype)
    with _without_autocast(feature.device.type):
        logits: Tensor = head(pooled)
        return logits


def check_options(*, leak: float, strides: Sequence[int], **sizes: int) -> None:
    """Refuses options that make no network.

    Args:
        leak: negative slope of the leaky ReLU.
        strides: one per group.
        sizes: by name, what must be at least 1.

    Raises:
        InputError: naming the option and its range.

    >>> check_options(leak=0.2, strides=(1, 2, 2), width=1)
    """
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}; give a positive whole number")
    if not 0 <= leak <= 1:
        raise InputError(f"leak must lie in [0, 1], got {leak}; JEM's value is 0.2")
    if len(strides) != GROUPS or min(strides) < 1:
        raise InputError(f"strides must be three whole numbers of at least 1, got {strides}; usual is (1, 2, 2)")


def check_images(x: Tensor, in_channels: int) -> None:
    """Refuses what is not a batch of images with so many channels.

    Raises:
        InputError: naming the shape wanted and the shape given.

    >>> check_images(torch.zeros(2, 3, 8, 8), 3)
    """
    if x.ndim != 4 or x.shape[1] != in_channels or x.shape[2] < 1 or x.shape[3] < 1:
        raise InputError(
            f"x must be images of shape (B, {in_channels}, H, W), got {tuple(x.shape)}; "
            "reshape them, or build the network with their in_channels"
        )


def _without_autocast(device_type: str) -> AbstractContextManager[None]:
    """Full precision where autocast exists at all; the meta device, for one, has none."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
