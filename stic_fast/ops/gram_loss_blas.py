# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss by batched matrix products: what the op runs in float64 and where there is no kernel.

Both it and the kernel return what `empty_results` allocates: the loss (chains,), each layer's derivative in ‖G − A‖²
(layers, chains), and the products that the gradient needs again (chains, numbers): D = M·(G − A), or P = FᵀF and
Q = −(M/N)·RᵀF.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from stic_fast.ops.checks import KEPT, check_numbers
from stic_fast.ops.gram import outside_autocast, positions

GramScale = Literal["log", "relative", "gatys", "none"]
SMALLEST_NORM = 1e-12
"""‖A‖² below this counts as this, so that a blank reference gives a large loss and not a division by zero."""

_PANEL = 32
"""The kernel pads the sides of products to its panels' width, which divides this in every instruction set."""


def round_up(count: int, step: int) -> int:
    """`count` rounded up to whole steps, in integers that torch.compile can trace with a symbol for `count`."""
    return (count + step - 1) // step * step


def has_kernel(layer: Tensor) -> bool:
    """Whether the native kernel takes the layer; `layer` may be a fake."""
    return layer.device.type == "cpu" and layer.dtype != torch.float64


def product_offsets(layers: Sequence[Tensor], targets: Sequence[Tensor | None], is_dual: Sequence[bool]) -> list[int]:
    """Where each layer's products begin among those of a chain, and where the last ones end."""
    step = _PANEL if has_kernel(layers[0]) else 1
    offsets = [0]
    for layer, target, dual in zip(layers, targets, is_dual, strict=True):
        channels, size = round_up(layer.shape[1], step), round_up(layer.shape[2:].numel(), step)
        if dual and target is not None:
            numbers = size * (size + round_up(target.shape[2:].numel(), step))
        else:
            numbers = channels**2
        offsets.append(offsets[-1] + numbers)
    return offsets


def check_products(products: Tensor, layers: Sequence[Tensor], offsets: Sequence[int]) -> None:
    """That the kept products are those of these layers."""
    sums = torch.float64 if layers[0].dtype == torch.float64 else torch.float32
    kind = (torch.Size((layers[0].shape[0], offsets[-1])), sums, layers[0].device)
    check_numbers("products", products, KEPT, kind)


def empty_results(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    chains, dtype = layers[0].shape[0], torch.float64 if layers[0].dtype == torch.float64 else torch.float32
    numbers = product_offsets(layers, targets, is_dual)[-1] if with_gradient else 0
    shapes = ((chains,), (len(layers), chains), (chains, numbers))
    loss, slopes, products = (layers[0].new_empty(shape, dtype=dtype) for shape in shapes)
    return loss, slopes, products


def laid_out(features: Tensor, last: bool) -> Tensor:
    """(batch, M, C) or (batch, C, M), contiguous: a view where the memory has that order."""
    flat = features.flatten(2)
    return (flat.mT if last else flat).contiguous()


def channels_last(layer: Tensor) -> bool:
    """Whether the channels lie side by side in memory; a layer that lies otherwise is copied to rows of channels."""
    return layer.dim() == 4 and not layer.is_contiguous() and layer.is_contiguous(memory_format=torch.channels_last)


def gradient_like(layer: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty_like(
        layer, dtype=dtype, memory_format=torch.channels_last if channels_last(layer) else torch.contiguous_format
    )


def loss_by_products(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    loss, slopes, products = empty_results(layers, targets, is_gram, is_dual, normalize, with_gradient)
    loss.zero_()
    kept = []
    for index, (layer, target, given, dual) in enumerate(zip(layers, targets, is_gram, is_dual, strict=True)):
        flat = positions(layer)
        with outside_autocast(layer):
            square, norm, layer_products = _dual(flat, positions(target)) if dual else _primal(flat, target, given)
        term, slope = scaled(square, norm, flat.shape[1], flat.shape[2], normalize)
        loss += term
        slopes[index] = slope
        kept += [product.flatten(1) for product in layer_products]
    if with_gradient:
        torch.cat(kept, 1, out=products)
    return loss, slopes, products


def _primal(flat: Tensor, target: Tensor, is_gram: bool) -> tuple[Tensor, Tensor, list[Tensor]]:
    """‖G − A‖², ‖A‖², and the symmetric part of D."""
    size = flat.shape[2]
    if is_gram:
        matrix = target.to(flat.dtype)
    else:
        features = positions(target)
        matrix = torch.bmm(features, features.mT).div_(features.shape[2])
    norm = matrix.square().sum((1, 2))
    difference = torch.baddbmm(matrix.expand(flat.shape[0], -1, -1), flat, flat.mT, beta=-size)
    square = difference.square().sum((1, 2)).div_(size**2)
    return square, norm, [(difference + difference.mT).div_(2) if is_gram else difference]


def _dual(flat: Tensor, features: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The same, with P and Q."""
    size, reference_size = flat.shape[2], features.shape[2]
    norm = torch.bmm(features.mT, features).square().sum((1, 2)).div_(reference_size**2)
    own = torch.bmm(flat.mT, flat)
    cross = torch.bmm(features.mT.expand(flat.shape[0], -1, -1), flat)
    square = own.square().sum((1, 2)) / size**2 - 2 / (size * reference_size) * cross.square().sum((1, 2)) + norm
    return square.clamp_min(0), norm, [own, cross.mul_(-size / reference_size)]


def gradient_by_products(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    gradients = []
    offsets = product_offsets(layers, references, [reference is not None for reference in references])
    check_products(products, layers, offsets)
    for layer, reference, slope, (begin, end) in zip(
        layers, references, slopes, itertools.pairwise(offsets), strict=True
    ):
        flat, kept = positions(layer), products[:, begin:end]
        batch, channels, size = flat.shape
        with outside_autocast(layer):
            if reference is None:
                gradient = torch.bmm(kept.view(batch, channels, channels), flat)
            else:
                own, cross = kept.split([size**2, kept.shape[1] - size**2], dim=1)
                gradient = torch.bmm(flat, own.view(batch, size, size))
                other = positions(reference).expand(batch, -1, -1)
                gradient.baddbmm_(other, cross.view(batch, other.shape[2], size))
        gradient *= (4 / size**2 * slope * grad_loss)[:, None, None]
        gradients.append(gradient_like(layer).copy_(gradient.view(layer.shape)))
    return gradients


def scaled(square: Tensor, norm: Tensor, channels: int, size: int, normalize: str) -> tuple[Tensor, Tensor]:
    """The layer's term of the loss and its derivative in ‖G − A‖²."""
    if normalize == "none":
        scale = torch.full_like(square, size**2)
    elif normalize == "gatys":
        scale = torch.full_like(square, 1 / (4 * channels**2))
    else:
        scale = norm.clamp_min(SMALLEST_NORM).reciprocal().expand_as(square)
    term = square * scale
    if normalize == "log":
        return torch.log1p(term), scale / (1 + term)
    return term, scale
