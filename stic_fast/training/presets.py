# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the presets of several methods have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from stic_fast.training.config import AugmentationConfig, NetworkConfig, OptimiserConfig, RunConfig

Settings = TypeVar("Settings", bound=RunConfig)

ALL_OF_WRN_10 = ("conv3", "conv4", "conv6", "conv7", "conv9", "conv10")

DIGITS_NETWORK = NetworkConfig(depth=10, width=1)
FASHION_NETWORK = NetworkConfig(depth=10, width=1, strides=(2, 2, 2), gram_layers=ALL_OF_WRN_10)
SMALL_ADAM = OptimiserConfig(lr=1e-3, clip_norm=1.0)

EPOCH = 782  # iterations of 64 images for one epoch of CIFAR-10
# GMMC's appendix B, which follows JEM: 150 epochs, the learning rate decayed after 30, 50 and 80.
JEM_SCHEDULE: dict[str, Any] = {
    "passes": 150,
    "iterations": EPOCH,
    "batch_size": 64,
    "optimiser": OptimiserConfig(decay_at=(30 * EPOCH, 50 * EPOCH, 80 * EPOCH)),
    "augmentation": AugmentationConfig(noise_std=0.03, flip_probability=0.5, max_shift=4),
}


def on_fashion(digits: Settings, *, eps1: float, decay_every: int, **changes: Any) -> Settings:
    """A preset of the digits on larger images: longer training, and finished chains of twice the steps."""
    return replace(
        digits,
        data="idx:",
        passes=8,
        network=FASHION_NETWORK,
        optimiser=replace(digits.optimiser, decay_every=decay_every),
        sampler=replace(digits.sampler, steps=300, eps1=eps1),
        **changes,
    )
