# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the convolutional networks have in common: options in their ranges, images of the right shape, and the head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier, arguments_of, check_image_batch, without_autocast

GROUPS = 3
"""Of layers, each of twice the channels of the one before."""


class ConvolutionalClassifier(Classifier):
    """Convolutions in three groups, a mean over positions, a linear layer.

    A subclass hands on its constructor's arguments, which `ConvNet` describes, the names of its layers, and sizes of
    its own by their names; it makes its convolutions and then `head`, and defines `convolved`.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.
    """

    head: nn.Linear

    def __init__(
        self,
        *,
        width: int,
        num_classes: int,
        in_channels: int,
        fake_class: bool,
        leak: float,
        strides: Sequence[int],
        layer_names: Sequence[str],
        gram_layers: Sequence[str],
        **more: int,
    ) -> None:
        for name, size in {"width": width, "in_channels": in_channels, **more}.items():
            if size < 1:
                raise InputError(f"{name} must be at least 1, got {size}; give a positive whole number")
        if not 0 <= leak <= 1:
            raise InputError(f"leak must lie in [0, 1], got {leak}; JEM's value is 0.2")
        if len(strides) != GROUPS or min(strides) < 1:
            raise InputError(f"strides must be three whole numbers of at least 1, got {strides}; usual is (1, 2, 2)")
        super().__init__(
            num_classes=num_classes, has_fake_class=fake_class, layer_names=layer_names, gram_layers=gram_layers
        )
        self.width, self.in_channels, self.leak, self.strides = width, in_channels, leak, tuple(strides)

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The logits and the named features of x (B, in_channels, H, W), any H and W of at least 1.

        Logits have the weights' precision under autocast too: bfloat16 would round log p(y|x) to three digits.
        """
        check_image_batch(x, self.in_channels)
        last, kept = self.convolved(x, names)
        pooled = last.mean((2, 3), dtype=self.head.weight.dtype)
        with without_autocast(x.device.type):
            return self.head(pooled), kept

    def convolved(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """What the head reads, (B, 64k, H, W), and the features of exactly these names. A subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define convolved")

    def places(self, per_group: int) -> Iterator[tuple[int, int]]:
        """Channels and stride at each of the places in a group, group after group."""
        for group, stride in enumerate(self.strides):
            for place in range(per_group):
                yield 16 * self.width * 2**group, 1 if place else stride

    def draw_head(self) -> None:
        """Draws the head anew so that logits start within about 0.3, the softmax near uniform.

        The pooled features are of order 1.
        """
        nn.init.normal_(self.head.weight, std=0.3 / math.sqrt(self.head.in_features))
        nn.init.zeros_(self.head.bias)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, with which a checkpoint rebuilds the model.

        >>> from stic_fast.models import ConvNet
        >>> model = ConvNet(width=1, num_classes=10, in_channels=1)
        >>> ConvNet(**model.config()).config() == model.config()
        True
        """
        return arguments_of(self)
