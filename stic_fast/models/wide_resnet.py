# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A Wide ResNet without normalisation, whose convolutions carry the numbers that the STIC paper uses.

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016 (https://arxiv.org/abs/1605.07146): pre-activation blocks.
Leaky ReLU and no normalisation as in JEM (https://arxiv.org/abs/1912.03263): batch statistics would couple the chains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models.convolutional import GROUPS, ConvolutionalClassifier


class ResidualBlock(nn.Module):
    """One pre-activation block: x + second(act(first(act(x)))).

    Where the shape changes, a 1x1 convolution of act(x) takes the place of x, as in Zagoruyko and Komodakis's code.

    Args:
        in_channels: channels of x.
        out_channels: channels of the result.
        stride: of the first convolution, and of the shortcut.
        leak: negative slope of the leaky ReLU.

    >>> block = ResidualBlock(16, 32, stride=2, leak=0.2)
    >>> x = torch.zeros(1, 16, 8, 8)
    >>> inner, total = block(x, F.leaky_relu(x, 0.2))
    >>> inner.shape, total.shape
    (torch.Size([1, 32, 4, 4]), torch.Size([1, 32, 4, 4]))
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, leak: float) -> None:
        super().__init__()
        self.leak = leak
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same_shape = stride == 1 and in_channels == out_channels
        self.shortcut = None if same_shape else nn.Conv2d(in_channels, out_channels, 1, stride=stride)

    def forward(self, x: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """act(first(active)) and the residual sum, from x and active = act(x), both (B, in_channels, H, W)."""
        # In place: the convolution's backward pass does not read its own output, so one activation less is kept.
        inner = F.leaky_relu(self.first(active), self.leak, inplace=True)
        skip = x if self.shortcut is None else self.shortcut(active)
        return inner, self.second(inner) + skip


class WideResNet(ConvolutionalClassifier):
    """WRN-depth-width: a stem, three groups of n = (depth - 4) / 6 blocks, a mean over positions, a linear layer.

    Layer names count the convolutions: conv1 is the stem, then in every group first the shortcut and then the 2n
    convolutions of its blocks. So WRN-28 has 28, and its third group is conv20 (shortcut) and the paper's
    conv21 to conv28. A shortcut takes its number even where it is an identity, so names do not depend on the width;
    shortcuts have no nonlinearity and are not among `layer_names`.

    The feature of a layer is taken after the nonlinearity that follows it: act(conv) for the stem and the first
    convolution of a block, act(residual sum) for the second, which is what the next block or the head reads.

    At the start activations neither vanish nor blow up with depth: He-normal weights for the leaky ReLU, the second
    convolution of each block scaled by 1/sqrt(number of blocks), so that the variance of the sum grows at most e-fold.

    Args:
        depth: 6n + 4 for a whole n: 10, 16, 22, 28, ...
        width: k; the groups have 16k, 32k and 64k channels.
        num_classes: C, the number of real classes.
        in_channels: channels of the images.
        fake_class: whether there is a logit C for label "-1".
        leak: negative slope of the leaky ReLU, in [0, 1].
        stem_channels: channels of conv1.
        strides: of the first block in each group.
        gram_layers: default Gram layers; None means the 2n convolutions of the third group.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.

    >>> model = WideResNet(depth=10, width=1, num_classes=10)
    >>> model.gram_layers
    ('conv9', 'conv10')
    >>> logits, features = model.logits_and_features(torch.zeros(2, 3, 32, 32), ["conv10", "conv1"])
    >>> logits.shape, [tuple(feature.shape) for feature in features]
    (torch.Size([2, 11]), [(2, 64, 8, 8), (2, 16, 32, 32)])
    >>> with torch.device("meta"):
    ...     paper = WideResNet(depth=28, width=10, num_classes=10)
    >>> paper.gram_layers[0], paper.gram_layers[-1], len(paper.gram_layers)
    ('conv21', 'conv28', 8)
    """

    def __init__(
        self,
        *,
        depth: int,
        width: int,
        num_classes: int,
        in_channels: int = 3,
        fake_class: bool = True,
        leak: float = 0.2,
        stem_channels: int = 16,
        strides: Sequence[int] = (1, 2, 2),
        gram_layers: Sequence[str] | None = None,
    ) -> None:
        _check_depth(depth)
        blocks_per_group = (depth - 4) // 6
        block_layers = _name_convolutions(blocks_per_group)
        third_group = [name for pair in block_layers[2 * blocks_per_group :] for name in pair]
        super().__init__(
            width=width,
            num_classes=num_classes,
            in_channels=in_channels,
            fake_class=fake_class,
            leak=leak,
            strides=strides,
            layer_names=["conv1", *(name for pair in block_layers for name in pair)],
            gram_layers=third_group if gram_layers is None else gram_layers,
            stem_channels=stem_channels,
        )
        self.depth, self.stem_channels, self.block_layers = depth, stem_channels, block_layers
        self.stem = nn.Conv2d(in_channels, stem_channels, 3, padding=1)
        self.blocks = nn.ModuleList()
        before = stem_channels
        for channels, stride in self.places(blocks_per_group):
            self.blocks.append(ResidualBlock(before, channels, stride=stride, leak=leak))
            before = channels
        self.head = nn.Linear(before, self.num_logits)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew from torch's global generator, with the scales that the class describes."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=self.leak, nonlinearity="leaky_relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        # The stem reads the image itself, with no nonlinearity before it that its scale would make up for.
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="linear")
        with torch.no_grad():
            for block in self.blocks:
                assert isinstance(block, ResidualBlock)
                block.second.weight /= math.sqrt(len(self.blocks))
        self.draw_head()

    def convolved(self, x: Tensor, names: frozenset[str]) -> tuple[Tensor, dict[str, Tensor]]:
        kept: dict[str, Tensor] = {}
        total = self.stem(x)
        active = F.leaky_relu(total, self.leak)
        if "conv1" in names:
            kept["conv1"] = active
        for block, (first, second) in zip(self.blocks, self.block_layers, strict=True):
            inner, total = block(total, active)
            active = F.leaky_relu(total, self.leak)
            if first in names:
                kept[first] = inner
            if second in names:
                kept[second] = active
        return active, kept


def _check_depth(depth: int) -> None:
    if depth >= 10 and (depth - 4) % 6 == 0:
        return
    below = 4 + 6 * ((depth - 4) // 6)
    nearest = f"{below} or {below + 6}" if below >= 10 else "10"
    raise InputError(f"depth must be 6n + 4 for a whole n of at least 1, got {depth}; the nearest is {nearest}")


def _name_convolutions(blocks_per_group: int) -> list[tuple[str, str]]:
    """The names of every block's two 3x3 convolutions; before those of a group one number is its shortcut's."""
    starts = [3 + group * (2 * blocks_per_group + 1) for group in range(GROUPS)]
    firsts = [start + 2 * block for start in starts for block in range(blocks_per_group)]
    return [(f"conv{first}", f"conv{first + 1}") for first in firsts]
