# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The network of the introspective cascades: whether a patch is real or drawn (Introspective Generative Modeling).

The discriminator of DCGAN (Radford, Metz and Chintala 2016): convolutions of 5×5 and stride 2, a leaky ReLU after each.
A convolution of stride 2 reads every other pixel less often than its neighbours, which leaves a weave in what is drawn
by its gradient (Odena, Dumoulin and Olah 2016); the first one here takes every pixel alike, and means of four are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models.classifier import Classifier, arguments_of, check_image_batch, without_autocast

KERNEL = 5
LOG_ODDS = "log_odds"
"""The name of the feature that holds ln q(+1|x)/q(−1|x) of every patch, (B, C, rows, columns)."""


class Discriminator(Classifier):
    r"""The log-odds that a patch is real, :math:`\ln g(x)` (there, equation 11), for all patches of an image at once.

    It slides over an image in steps of `stride` pixels. The logits (B, C) are means over the patches; the feature
    "log_odds" has each patch's own.

    Args:
        channels: of the convolutions; the paper's are 64, 128, 256 and 512.
        in_channels: channels of the images.
        num_classes: C, heads on the same convolutions, each for images of one class; 1 for images without classes.
        whole: side of the patch that is read as a whole, as DCGAN does: convolutions pad with zeros, and the head is
            dense over their last positions. None for convolutions without padding and a head for each of their last
            positions, whose patch is what such a position sees: 62 pixels for four convolutions.
        smooth: whether the first convolution has stride 1 and a mean over 2×2 pixels after it; in the paper its stride
            is 2.
        batch_norm: after every convolution but the first, as the paper has it.
        leak: negative slope of the leaky ReLU.
        gram_layers: default Gram layers; None for all convolutions.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.

    >>> model = Discriminator(channels=(8, 16, 32, 64))
    >>> model.patch, model.stride
    (62, 16)
    >>> logits, (odds,) = model.logits_and_features(torch.zeros(2, 3, 94, 78), ["log_odds"])
    >>> logits.shape, odds.shape
    (torch.Size([2, 1]), torch.Size([2, 1, 3, 2]))
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (64, 128, 256, 512),
        in_channels: int = 3,
        num_classes: int = 1,
        whole: int | None = None,
        smooth: bool = True,
        batch_norm: bool = False,
        leak: float = 0.2,
        gram_layers: Sequence[str] | None = None,
    ) -> None:
        if not channels or min(channels) < 1:
            raise InputError(f"channels must be at least one number above 0, got {tuple(channels)}; usual is (64, 128)")
        if in_channels < 1:
            raise InputError(f"in_channels must be at least 1, got {in_channels}; give a positive whole number")
        if not 0 <= leak <= 1:
            raise InputError(f"leak must lie in [0, 1], got {leak}; the paper's is 0.2")
        stride = 2 ** len(channels)
        if whole is not None and whole < stride:
            raise InputError(f"whole must be at least {stride}, 2 a convolution, got {whole}; take fewer channels")
        convolutions = [f"conv{number + 1}" for number in range(len(channels))]
        super().__init__(
            num_classes=num_classes,
            has_fake_class=False,
            layer_names=[*convolutions, LOG_ODDS],
            gram_layers=convolutions if gram_layers is None else gram_layers,
        )
        self.channels, self.in_channels, self.leak = tuple(channels), in_channels, leak
        self.whole, self.smooth, self.batch_norm, self.stride = whole, smooth, batch_norm, stride
        self.patch = (KERNEL - 1) * (stride - 1) + 1 + smooth if whole is None else whole
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for number, (before, after) in enumerate(zip((in_channels, *channels), channels, strict=False)):
            padding, step = 0 if whole is None else KERNEL // 2, 1 if smooth and not number else 2
            self.convolutions.append(nn.Conv2d(before, after, KERNEL, stride=step, padding=padding))
            self.norms.append(nn.BatchNorm2d(after) if batch_norm and number else nn.Identity())
        self.head = nn.Conv2d(channels[-1], num_classes, 1 if whole is None else -(-whole // stride))
        self.reset_parameters()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's global generator: activations keep their size, log-odds start near 0."""
        for number, convolution in enumerate(self.convolutions):
            before = "leaky_relu" if number else "linear"
            nn.init.kaiming_normal_(convolution.weight, a=self.leak, nonlinearity=before)  # type: ignore[arg-type]
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        for norm in self.norms:
            if isinstance(norm, nn.BatchNorm2d):
                norm.reset_parameters()
        nn.init.normal_(self.head.weight, std=0.3 / math.sqrt(self.head.weight[0].numel()))
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward_keeping(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean log-odds and the named features of x (B, in_channels, H, W), both sides at least `patch`.

        Raises:
            InputError: another number of channels, or images smaller than a patch.
        """
        check_image_batch(x, self.in_channels)
        if min(x.shape[2:]) < self.patch:
            least = f"at least {self.patch} pixels a side"
            raise InputError(f"x must be images of {least}, got {tuple(x.shape)}; enlarge them")
        kept: dict[str, Tensor] = {}
        x = x.contiguous(memory_format=torch.channels_last)
        for name, convolution, norm in zip(self.layer_names, self.convolutions, self.norms, strict=False):
            x = F.leaky_relu(norm(convolution(x)), self.leak, inplace=True)
            if self.smooth and name == "conv1":
                x = F.avg_pool2d(x, 2, ceil_mode=self.whole is not None)
            if name in names:
                kept[name] = x
        with without_autocast(x.device.type):
            odds = self.head(x.to(self.head.weight.dtype))
        if LOG_ODDS in names:
            kept[LOG_ODDS] = odds
        return odds.mean((2, 3)), kept

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, with which a checkpoint rebuilds the model."""
        return arguments_of(self)
