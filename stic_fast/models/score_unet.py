# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A U-shaped network that classifies images and knows the score of their density at every noise level.

Its layers preserve magnitudes, so that it needs no normalisation (Karras et al., "Analyzing and Improving the Training
Dynamics of Diffusion Models", 2024, https://arxiv.org/abs/2312.02696). Where that paper divides activations by the size
they have, here every filter is built with the gain that brings what it adds to the size it should have: the sizes are
known once the network is, so that a pass spends nothing on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.errors import InputError
from stic_fast.models.classifier import arguments_of, check_image_batch, without_autocast
from stic_fast.models.score_classifier import AtNoise, ScoreClassifier, check_level, levels, padded
from stic_fast.models.unit_filters import Ready, UnitFilter, UnitFilters
from stic_fast.ops.scaled_silu import scaled_silu

BRANCH = 0.3 / 0.7
"""Size of what a block's convolutions add, of that of what goes around them (there, section 2.4)."""
FREQUENCIES = 32
"""Of the waves of ln σ that tell the network its noise level."""
TOLD = 4
"""Numbers that tell a block of noise level and label, for each channel of the first level."""


class ScoreUNet(ScoreClassifier):
    r"""A denoiser D(x; σ, y) whose innermost features also tell the class.

    The image is brought to half its size (pixel unshuffle), goes down through levels of `channels`, each of half the
    size of the one before, and up again. What comes out is preconditioned (Karras et al. 2022, table 1,
    https://arxiv.org/abs/2206.00364), with :math:`σ_d` = `sigma_data`:

    .. math::
        D(x; σ, y) = (σ_d/τ)²·x + (σ·σ_d/τ)·F(x/τ; σ, y), \quad τ² = σ² + σ_d²

    The logits are a linear layer on the mean of the innermost features, so that to classify costs the way down alone.
    Label and noise level reach every block as a factor on the channels between its two convolutions.

    The layers are down1.first, down1.second, ..., middle.first, middle.second: the two convolutions of each block on
    the way down, as they come out. Any height and width; those that are no multiple of 2^levels are padded with their
    edge and cut back.

    Args:
        channels: of the levels.
        num_classes: C, the number of real classes.
        in_channels: channels of the images.
        fake_class: whether there is a logit C for label "-1".
        sigma_data: standard deviation of the images without noise, in units of [-1, 1].
        sigma_read: the noise level that images are classified at where none is given.
        gram_layers: default Gram layers; None means the two convolutions of the innermost block.

    Raises:
        InputError: an argument is out of its range; the message says which and what would do.

    >>> model = ScoreUNet(channels=(8, 16), num_classes=3, in_channels=1)
    >>> x, sigma = torch.zeros(2, 1, 8, 8), torch.tensor([0.1, 2.0])
    >>> model(x).shape, model.score(x, sigma, torch.eye(3)[:2]).shape
    (torch.Size([2, 4]), torch.Size([2, 1, 8, 8]))
    """

    middle: _Block
    _frequencies: Tensor

    def __init__(
        self,
        *,
        channels: Sequence[int],
        num_classes: int,
        in_channels: int = 3,
        fake_class: bool = True,
        sigma_data: float = 0.5,
        sigma_read: float = 0.02,
        gram_layers: Sequence[str] | None = None,
    ) -> None:
        if not channels or min(channels) < 1:
            raise InputError(f"channels must be positive whole numbers, one for each level, got {tuple(channels)}")
        check_level("sigma_data", sigma_data)
        blocks = [*(f"down{level + 1}" for level in range(len(channels))), "middle"]
        names = [f"{block}.{convolution}" for block in blocks for convolution in ("first", "second")]
        super().__init__(
            num_classes=num_classes,
            in_channels=in_channels,
            has_fake_class=fake_class,
            layer_names=names,
            gram_layers=names[-2:] if gram_layers is None else gram_layers,
            sigma_read=sigma_read,
            takes_labels=True,
        )
        self.channels, self.sigma_data = tuple(channels), sigma_data
        told, inmost = TOLD * channels[0], channels[-1]
        self.noise = UnitFilter(told, 2 * FREQUENCIES)
        self.label = UnitFilter(told, num_classes)
        self.stem = UnitFilter(channels[0], 4 * in_channels + 1, 3, 3)
        down, up = list[_Block](), list[_Block]()
        outcomes = [(channels[0], 1.0)]  # of the stem and of each level: channels and size of what comes out
        for wide in channels:
            down.append(block := _Block(*outcomes[-1], wide, told))
            outcomes.append((wide, block.size))
        self.middle = block = _Block(*outcomes[-1], inmost, told)
        self.head, self.head_gain = UnitFilter(self.num_logits, inmost), nn.Parameter(torch.empty(()))
        for beside in reversed(outcomes[1:]):
            block = _Block(inmost, block.size, beside[0], told, beside=beside)
            up.append(block)
            inmost = beside[0]
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self._blocks = tuple(down), tuple(up)
        self.out, self.out_gain = UnitFilter(4 * in_channels, inmost, 3, 3), nn.Parameter(torch.empty(()))
        frequencies = 2 * math.pi * torch.logspace(-3, 4, FREQUENCIES, base=2.0)
        self.register_buffer("_frequencies", frequencies, persistent=False)
        self._filters = UnitFilters(self)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all weights anew from torch's global generator; at first D is the image, shrunk as noise demands."""
        for filter in self._filters:
            filter.reset_parameters()
        for block in (*self._blocks[0], self.middle, *self._blocks[1]):
            nn.init.zeros_(block.told_gain)
        nn.init.ones_(self.head_gain)
        nn.init.zeros_(self.out_gain)

    def at_noise(
        self,
        x: Tensor,
        sigma: Tensor | float,
        labels: Tensor | None = None,
        *,
        layers: Sequence[str] = (),
        denoised: int | None = None,
    ) -> AtNoise:
        check_image_batch(x, self.in_channels)
        count = len(x) if denoised is None else denoised
        sigma = levels(sigma, x, self.head.weight.dtype)
        noise = sigma.view(-1, 1, 1, 1)
        whole = (noise.square() + self.sigma_data**2).sqrt()
        logits, out, features = self._passed(x / whole, sigma, labels, frozenset(layers), count)
        noise, whole = noise[:count], whole[:count]
        kept, made = (self.sigma_data / whole) ** 2, noise * self.sigma_data / whole
        return AtNoise(logits, kept * x[:count] + made * out, features)

    def _passed(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None, names: frozenset[str], denoised: int
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits of all, F of the first `denoised`, and features."""
        height, width = x.shape[2:]
        device = x.device.type
        dtype = own = self.head.weight.dtype
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        ready, kept, (down, up) = self._filters.ready(dtype), _Kept(names), self._blocks
        told = self._told(sigma, labels, ready).to(dtype)
        x = padded(x, 2 ** len(self.channels))
        # Pixel unshuffle, which torch's own leaves undone in an empty batch.
        batch, planes, rows, columns = x.shape
        x = x.reshape(batch, planes, rows // 2, 2, columns // 2, 2).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1).to(dtype, memory_format=torch.channels_last)
        x = F.conv2d(x, ready[self.stem], padding=1)
        outcomes = []
        for level, block in enumerate(down):
            x = block(F.avg_pool2d(x, 2) if level else x, told, ready, kept.of(f"down{level + 1}"))
            outcomes.append(x)
        x = self.middle(x, told, ready, kept.of("middle"))
        pooled = scaled_silu(x, 1 / self.middle.size).mean((2, 3), dtype=own)
        with without_autocast(device):
            logits = F.linear(pooled, ready[self.head].to(own)) * self.head_gain
        if not denoised:
            return logits, x.new_empty(0, self.in_channels, height, width, dtype=own), kept.features
        x, told = x[:denoised], told[:denoised]
        for level, (block, beside) in enumerate(zip(up, reversed(outcomes), strict=True)):
            x = block(F.interpolate(x, scale_factor=2) if level else x, told, ready, None, beside[:denoised])
        x = F.conv2d(scaled_silu(x, 1 / up[-1].size), ready[self.out], padding=1)
        return logits, F.pixel_shuffle(x.to(own) * self.out_gain, 2)[:, :, :height, :width], kept.features

    def _told(self, sigma: Tensor, labels: Tensor | None, ready: Ready) -> Tensor:
        """What blocks are told of noise level and label; of a label that is withheld, nothing."""
        with without_autocast(sigma.device.type):
            waves = (sigma.log() / 4)[:, None] * self._frequencies
            waves = math.sqrt(2) * torch.cat([waves.cos(), waves.sin()], 1)
            told = F.linear(waves, ready[self.noise].to(waves))
            if labels is not None:
                shown = labels.to(told) * math.sqrt(self.num_classes)
                told = told + F.linear(shown, ready[self.label].to(told))
            return scaled_silu(told / math.sqrt(2), 1.0)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments as JSON-able values, with which a checkpoint rebuilds the model.

        >>> model = ScoreUNet(channels=(8, 16), num_classes=3, in_channels=1)
        >>> ScoreUNet(**model.config()).config() == model.config()
        True
        """
        return arguments_of(self)


class _Block(nn.Module):
    """Two convolutions, told of noise and label in between, beside the way around them.

    Args:
        into, size: channels of what comes in, and its size.
        out: channels of what comes out.
        told: numbers that it is told.
        beside: on the way up, channels and size of what comes from the same level on the way down.
    """

    def __init__(self, into: int, size: float, out: int, told: int, *, beside: tuple[int, float] | None = None) -> None:
        super().__init__()
        self.own: UnitFilter | None = None
        self.beside: UnitFilter | None = None
        if beside is not None:
            self.own = UnitFilter(out, into, 1, 1, gain=math.sqrt(0.5) / size)
            self.beside = UnitFilter(out, beside[0], 1, 1, gain=math.sqrt(0.5) / beside[1])
            size = 1.0
        elif into != out:
            self.own = UnitFilter(out, into, 1, 1, gain=1 / size)
            size = 1.0
        self.around = size
        self.first = UnitFilter(out, out, 3, 3)
        self.told, self.told_gain = UnitFilter(out, told), nn.Parameter(torch.empty(()))
        self.second = UnitFilter(out, out, 3, 3, gain=BRANCH * size)
        self.size = size * math.sqrt(1 + BRANCH**2)
        """Of what comes out."""

    def forward(
        self,
        x: Tensor,
        told: Tensor,
        ready: Ready,
        kept: _Kept | None,
        beside: Tensor | None = None,
    ) -> Tensor:
        if self.own is not None:
            x = F.conv2d(x, ready[self.own])
        if beside is not None and self.beside is not None:
            x = x + F.conv2d(beside, ready[self.beside])
        factor = 1 + F.linear(told, ready[self.told]) * self.told_gain
        first = F.conv2d(scaled_silu(x, 1 / self.around), ready[self.first], padding=1)
        second = F.conv2d(scaled_silu(first, factor.to(first.dtype)), ready[self.second], padding=1)
        if kept is not None:
            kept(first=first, second=second)
        return x + second


class _Kept:
    """The features that a pass was asked for."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names, self._block = names, ""
        self.features: dict[str, Tensor] = {}

    def of(self, block: str) -> _Kept:
        self._block = block
        return self

    def __call__(self, **features: Tensor) -> None:
        named = {f"{self._block}.{name}": feature for name, feature in features.items()}
        self.features |= {name: feature for name, feature in named.items() if name in self._names}
