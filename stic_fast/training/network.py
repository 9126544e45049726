# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The network that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from stic_fast.data import Splits
from stic_fast.errors import InputError
from stic_fast.models import Classifier, ConvNet, Discriminator, ScoreClassifier, ScoreUNet, ScoreWideResNet, WideResNet
from stic_fast.training.config import DiscriminatorConfig, NetworkConfig, ScoreNetworkConfig


def network_of(
    config: NetworkConfig, splits: Splits, *, seed: int, outputs: int | None = None, fake_class: bool = False
) -> Classifier:
    """The network for these images, its weights drawn from the seed; the global generator is neither read nor moved.

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
    with _DrawnFrom(torch.Generator().manual_seed(seed)):
        if config.architecture == "convnet":
            return ConvNet(**options)
        return WideResNet(depth=config.depth, **options)


def score_network_of(config: ScoreNetworkConfig, splits: Splits, *, seed: int) -> ScoreClassifier:
    """The score classifier for these images, with a fake class, its weights drawn from the seed.

    Raises:
        InputError: settings that make no network, or Gram layers that this one does not have.
    """
    options: dict[str, Any] = {
        "num_classes": splits.train.num_classes,
        "in_channels": splits.train.image_shape[0],
        "sigma_read": config.sigma_read,
        "gram_layers": config.gram_layers or None,
    }
    with _DrawnFrom(torch.Generator().manual_seed(seed)):
        if config.architecture == "unet":
            return ScoreUNet(channels=config.channels, sigma_data=config.sigma_data, **options)
        return ScoreWideResNet(depth=config.depth, width=config.width, **options)


def discriminator_of(
    config: DiscriminatorConfig, splits: Splits, *, seed: int, side: int | None = None
) -> Discriminator:
    """The discriminator for patches of these images, a head for each class, its weights drawn from the seed.

    Args:
        side: of the patches; the images' own if None.

    Raises:
        InputError: settings that make no network, or Gram layers that this one does not have; images that are read as
            a whole and are not square.
    """
    _, height, width = splits.train.image_shape
    if config.whole == "on" and side is None and height != width:
        hint = "set network.whole=off, or cut out squares by patches.side"
        raise InputError(f"images that are read as a whole must be square, got {height}x{width} pixels; {hint}")
    with _DrawnFrom(torch.Generator().manual_seed(seed)):
        return Discriminator(
            channels=config.channels,
            in_channels=splits.train.image_shape[0],
            num_classes=splits.train.num_classes,
            whole=(side or height) if config.whole == "on" else None,
            smooth=config.smooth == "on",
            batch_norm=config.batch_norm == "on",
            gram_layers=config.gram_layers or None,
        )


class _DrawnFrom(TorchFunctionMode):
    """Within it, and in this thread, layers draw their first weights from a generator of ours, not the global one."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        chosen = {"generator": self._generator} if getattr(func, "__name__", "") in _DRAWING else {}
        return func(*args, **{**(kwargs or {}), **chosen})


_DRAWING = {"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_"}
"""What the layers of these networks draw with, of torch.nn.init and of Tensor."""
