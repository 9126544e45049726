# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The network that a configuration asks for."""

from __future__ import annotations

from typing import Any

import torch

from stic_fast.data import Splits
from stic_fast.models import Classifier, ConvNet, WideResNet
from stic_fast.training.config import NetworkConfig


def network_of(
    config: NetworkConfig, splits: Splits, *, seed: int, outputs: int | None = None, fake_class: bool = False
) -> Classifier:
    """The network for these images, its weights drawn from the seed.

    Args:
        outputs: numbers that it gives for an image; one per class if None.
        fake_class: whether one more, for label "−1", is among them.

    Raises:
        InputError: settings that make no network, or Gram layers that this one does not have.
    """
    options: dict[str, Any] = {
        "width": config.width,
        "strides": config.strides,
        "num_classes": splits.train.num_classes if outputs is None else outputs,
        "in_channels": splits.train.image_shape[0],
        "gram_layers": config.gram_layers or None,
        "fake_class": fake_class,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.architecture == "convnet":
            return ConvNet(**options)
        return WideResNet(depth=config.depth, **options)
