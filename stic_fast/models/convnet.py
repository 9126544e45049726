# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A plain convolutional network: six convolutions one after the other, neither normalised nor with shortcuts.

Simonyan and Zisserman, "Very Deep Convolutional Networks", ICLR 2015 (https://arxiv.org/abs/1409.1556): 3x3 throughout.
Channels, strides, leaky ReLU and head are those of `WideResNet`, so that the two differ in their shape alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.models.convolutional import GROUPS, ConvolutionalClassifier

_PER_GROUP = 2


class ConvNet(ConvolutionalClassifier):
    """Three groups of two 3x3 convolutions, a mean over positions, a linear layer.

    The layers are conv1 to conv6; the feature of one is taken after its leaky ReLU. At the start activations neither
    vanish nor blow up: He-normal weights for the leaky ReLU.

    Args:
        width: k; the groups have 16k, 32k and 64k channels.
        num_classes: C, the number of real classes.
        in_channels: channels of the images.
        fake_class: whether there is a logit C for label "-1".
        leak: negative slope of the leaky ReLU, in [0, 1].
        strides: of the first convolution in each group.
        gram_layers: default Gram layers; None means the two convolutions of the third group.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.

    >>> import torch
    >>> model = ConvNet(width=1, num_classes=10)
    >>> model.gram_layers
    ('conv5', 'conv6')
    >>> logits, features = model.logits_and_features(torch.zeros(2, 3, 32, 32), ["conv6", "conv1"])
    >>> logits.shape, [tuple(feature.shape) for feature in features]
    (torch.Size([2, 11]), [(2, 64, 8, 8), (2, 16, 32, 32)])
    """

    def __init__(
        self,
        *,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        fake_class: bool = True,
        leak: float = 0.2,
        strides: Sequence[int] = (1, 2, 2),
        gram_layers: Sequence[str] | None = None,
    ) -> None:
        names = [f"conv{number + 1}" for number in range(GROUPS * _PER_GROUP)]
        super().__init__(
            width=width,
            num_classes=num_classes,
            in_channels=in_channels,
            fake_class=fake_class,
            leak=leak,
            strides=strides,
            layer_names=names,
            gram_layers=names[-_PER_GROUP:] if gram_layers is None else gram_layers,
        )
        self.convolutions = nn.ModuleList()
        for channels, stride in self.places(_PER_GROUP):
            self.convolutions.append(nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1))
            in_channels = channels
        self.head = nn.Linear(in_channels, self.num_logits)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's global generator, with the scales that the class describes."""
        for number, convolution in enumerate(self.convolutions):
            # The first reads the image itself, with no nonlinearity before it that its scale would make up for.
            before = "leaky_relu" if number else "linear"
            nn.init.kaiming_normal_(convolution.weight, a=self.leak, nonlinearity=before)  # type: ignore[arg-type]
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.draw_head()

    def convolved(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        kept: dict[str, Tensor] = {}
        for name, convolution in zip(self.layer_names, self.convolutions, strict=True):
            # In place: the convolution's backward pass does not read its own output.
            x = F.leaky_relu(convolution(x), self.leak, inplace=True)
            if name in names:
                kept[name] = x
        return x, kept
