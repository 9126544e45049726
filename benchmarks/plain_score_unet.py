# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`ScoreUNet` as one writes it in PyTorch, and an iteration of its training: what the report compares with.

Written after the public code of the paper that it follows (https://github.com/NVlabs/edm2, networks_edm2.py): weights
are normalised in every pass, activations are divided by the size that they should have, and memory is laid out as
PyTorch does by itself. The parameters are those of a `ScoreUNet`, so that both can be compared number by number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stic_fast.models import ScoreUNet
from stic_fast.models.score_unet import BRANCH
from stic_fast.models.unit_filters import UnitFilter


def unit(filter: UnitFilter, x: Tensor) -> Tensor:
    """A filter's weight with rows of length 1, in the type of x."""
    weight = filter.weight
    dims = tuple(range(1, weight.dim()))
    return (weight / torch.linalg.vector_norm(weight, dim=dims, keepdim=True)).to(x.dtype)


def silu(x: Tensor) -> Tensor:
    """SiLU that keeps the size of its input."""
    return F.silu(x) / 0.596


def total(x: Tensor, y: Tensor, ratio: float) -> Tensor:
    """x + ratio·y, of unit size for x and y of unit size."""
    return (x + ratio * y) / math.sqrt(1 + ratio**2)


def convolved(x: Tensor, filter: UnitFilter) -> Tensor:
    return F.conv2d(x, unit(filter, x), padding=filter.weight.shape[-1] // 2)


def block_of(block: nn.Module, x: Tensor, told: Tensor, beside: Tensor | None = None) -> Tensor:
    if block.own is not None:
        x = convolved(x, block.own)
    if beside is not None:
        x = total(x, convolved(beside, block.beside), 1.0)
    factor = F.linear(told, unit(block.told, told)) * block.told_gain + 1
    y = convolved(silu(x), block.first)
    y = convolved(silu(y * factor[:, :, None, None].to(y.dtype)), block.second)
    return total(x, y, BRANCH)


def plain_at_noise(model: ScoreUNet, x: Tensor, sigma: Tensor, labels: Tensor, denoised: int) -> tuple[Tensor, Tensor]:
    """The logits of all images and the first `denoised` without their noise."""
    noise = sigma[:, None, None, None]
    whole = (noise**2 + model.sigma_data**2).sqrt()
    waves = (sigma.log() / 4)[:, None] * model._frequencies
    waves = math.sqrt(2) * torch.cat([waves.cos(), waves.sin()], 1)
    told = F.linear(waves, unit(model.noise, waves))
    told = silu(total(told, F.linear(labels * math.sqrt(model.num_classes), unit(model.label, told)), 1.0))
    y = F.pixel_unshuffle(x / whole, 2)
    y = convolved(torch.cat([y, torch.ones_like(y[:, :1])], 1), model.stem)
    outcomes = []
    for level, block in enumerate(model.down):
        y = block_of(block, F.avg_pool2d(y, 2) if level else y, told)
        outcomes.append(y)
    y = block_of(model.middle, y, told)
    pooled = silu(y).mean((2, 3))
    logits = F.linear(pooled, unit(model.head, pooled)) * model.head_gain
    y, told = y[:denoised], told[:denoised]
    for level, (block, beside) in enumerate(zip(model.up, reversed(outcomes), strict=True)):
        y = block_of(block, F.interpolate(y, scale_factor=2) if level else y, told, beside[:denoised])
    out = F.pixel_shuffle(convolved(silu(y), model.out) * model.out_gain, 2)
    noise, whole = noise[:denoised], whole[:denoised]
    return logits, (model.sigma_data / whole) ** 2 * x[:denoised] + noise * model.sigma_data / whole * out


def plain_loss(
    model: ScoreUNet, clean: Tensor, classes: Tensor, read: Tensor, targets: Tensor, *, weight: float = 10.0
) -> Tensor:
    """The loss of an iteration: images that are denoised, with labels, and others that are classified."""
    sigma = torch.exp(1.2 * torch.randn(len(clean)) - 1.2)
    noisy = clean + sigma[:, None, None, None] * torch.randn_like(clean)
    withheld = len(clean) // 8
    shown = F.one_hot(classes, model.num_classes).float()
    shown[:withheld] = 0
    logits, denoised = plain_at_noise(
        model,
        torch.cat([noisy, read + model.sigma_read * torch.randn_like(read)]),
        torch.cat([sigma, torch.full((len(read),), model.sigma_read)]),
        torch.cat([shown, torch.zeros(len(read), model.num_classes)]),
        len(clean),
    )
    scale = (sigma**2 + model.sigma_data**2) / (sigma * model.sigma_data) ** 2
    score = (scale[:, None, None, None] * (denoised - clean) ** 2).mean()
    of_classes = F.cross_entropy(logits[len(clean) :], targets) * 4 + F.cross_entropy(
        logits[:withheld], classes[:withheld]
    )
    return weight * score + of_classes
