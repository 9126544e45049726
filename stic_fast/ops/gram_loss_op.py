# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The ops behind `gram_loss`: native on a CPU, batched matrix products elsewhere and in float64.

`gram_loss` returns the loss (chains,), each layer's derivative in ‖G − A‖² (layers, chains), and the products that the
gradient needs again (chains, numbers): D = M·(G − A), or P = FᵀF and Q = −(M/N)·RᵀF. They are smaller than the
features. `gram_loss_gradient` multiplies with them and writes the gradient once, its factor known; written by the
forward pass, it would have to be read and written again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from stic_fast.native import kernels
from stic_fast.ops.gram import outside_autocast, positions
from stic_fast.ops.library import DTYPE_CODES, address, fresh, register, register_autograd

Normalize = Literal["log", "relative", "gatys", "none"]
SMALLEST_NORM = 1e-12
"""‖A‖² below this counts as this, so that a blank reference gives a large loss and not a division by zero."""

_PANEL = 32
"""The kernel pads the sides of products to its panels' width, which divides this in every instruction set."""


def _has_kernel(layer: Tensor) -> bool:
    return layer.device.type == "cpu" and layer.dtype != torch.float64


def _product_offsets(layers: Sequence[Tensor], targets: Sequence[Tensor | None], is_dual: Sequence[bool]) -> list[int]:
    """Where each layer's products begin among those of a chain, and where the last ones end."""
    step = _PANEL if _has_kernel(layers[0]) else 1
    offsets = [0]
    for layer, target, dual in zip(layers, targets, is_dual, strict=True):
        channels, size = ((count + step - 1) // step * step for count in (layer.shape[1], layer.shape[2:].numel()))
        if dual and target is not None:
            numbers = size * (size + (target.shape[2:].numel() + step - 1) // step * step)
        else:
            numbers = channels**2
        offsets.append(offsets[-1] + numbers)
    return offsets


def _channels_last(layer: Tensor) -> bool:
    """Whether the channels lie side by side in memory; a layer that lies otherwise is copied to rows of channels."""
    return layer.dim() == 4 and not layer.is_contiguous() and layer.is_contiguous(memory_format=torch.channels_last)


def _laid_out(features: Tensor, channels_last: bool) -> Tensor:
    """(batch, M, C) or (batch, C, M), contiguous: a view where the memory has that order."""
    flat = features.flatten(2)
    return (flat.mT if channels_last else flat).contiguous()


def _gradient_like(layer: Tensor) -> Tensor:
    return torch.empty_like(
        layer, memory_format=torch.channels_last if _channels_last(layer) else torch.contiguous_format
    )


def _native_layer(
    features: Tensor,
    reference: Tensor | None,
    matrix: Tensor | None,
    *,
    channels: int,
    channels_last: bool,
    dual: bool,
    products: Tensor | None,
    stride: int,
    terms: Tensor | None = None,
    slopes: Tensor,
    grad_loss: Tensor | None = None,
    gradient: Tensor | None = None,
    normalize: str = "log",
) -> tuple[int, ...]:
    """A layer as the kernels read it (csrc/cpu/kernels.h, GramLayer)."""
    chains = len(features)
    target = matrix if reference is None else reference
    return (
        features.data_ptr(),
        address(reference),
        address(matrix),
        address(products),
        address(terms),
        slopes.data_ptr(),
        address(grad_loss),
        address(gradient),
        DTYPE_CODES[features.dtype],
        chains,
        channels,
        features[0].numel() // channels,
        0 if reference is None else reference[0].numel() // channels,
        stride,
        channels_last,
        target is not None and len(target) < chains,
        dual,
        get_args(Normalize).index(normalize),
    )


def _native(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    if not _has_kernel(layers[0]):
        return _blas(layers, targets, is_gram, is_dual, normalize, with_gradient)
    loss, slopes, products = _fake(layers, targets, is_gram, is_dual, normalize, with_gradient)
    chains = len(loss)
    if chains == 0:
        return loss, slopes, products
    fresh(products)
    terms = torch.empty_like(slopes)
    described, alive = [], []
    offsets = _product_offsets(layers, targets, is_dual)
    for index, (layer, target, given, dual) in enumerate(zip(layers, targets, is_gram, is_dual, strict=True)):
        if len(target) < chains and not given and not dual:
            target, given = _gram_in_fp32(target), True
        last = _channels_last(layer)
        features, target = _laid_out(layer, last), target.float().contiguous() if given else _laid_out(target, last)
        alive += [features, target]
        described.append(
            _native_layer(
                features,
                None if given else target,
                target if given else None,
                channels=layer.shape[1],
                channels_last=last,
                dual=dual,
                products=products[:, offsets[index] :] if with_gradient else None,
                stride=offsets[-1],
                terms=terms[index],
                slopes=slopes[index],
                normalize=normalize,
            )
        )
    kernels.gram_loss(described, torch.get_num_threads())
    return torch.sum(terms, 0, out=loss), slopes, products


def _native_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    if not _has_kernel(layers[0]):
        return _blas_gradient(grad_loss, slopes, products, layers, references)
    gradients = [fresh(_gradient_like(layer)) for layer in layers]
    if len(products) == 0:
        return gradients
    grad_loss = grad_loss.contiguous()
    described, alive = [], []
    is_dual = [reference is not None for reference in references]
    offsets = _product_offsets(layers, references, is_dual)
    for index, (layer, reference) in enumerate(zip(layers, references, strict=True)):
        last = _channels_last(layer)
        features, other = _laid_out(layer, last), None if reference is None else _laid_out(reference, last)
        alive += [features, other]
        described.append(
            _native_layer(
                features,
                other,
                None,
                channels=layer.shape[1],
                channels_last=last,
                dual=is_dual[index],
                products=products[:, offsets[index] :],
                stride=offsets[-1],
                slopes=slopes[index],
                grad_loss=grad_loss,
                gradient=gradients[index],
            )
        )
    kernels.gram_loss_gradient(described, torch.get_num_threads())
    return gradients


def _gram_in_fp32(features: Tensor) -> Tensor:
    flat = positions(features)
    with outside_autocast(flat):
        return torch.bmm(flat, flat.mT).div_(flat.shape[2])


def _blas(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    loss, slopes, products = _fake(layers, targets, is_gram, is_dual, normalize, with_gradient)
    loss.zero_()
    kept = []
    for index, (layer, target, given, dual) in enumerate(zip(layers, targets, is_gram, is_dual, strict=True)):
        flat = positions(layer)
        with outside_autocast(layer):
            square, norm, layer_products = _dual(flat, positions(target)) if dual else _primal(flat, target, given)
        term, slope = _scaled(square, norm, flat.shape[1], flat.shape[2], normalize)
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


def _blas_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    gradients = []
    offsets = _product_offsets(layers, references, [reference is not None for reference in references])
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
                gradient.baddbmm_(other, cross.view(batch, -1, size))
        gradient *= (4 / size**2 * slope * grad_loss)[:, None, None]
        gradients.append(_gradient_like(layer).copy_(gradient.view(layer.shape)))
    return gradients


def _scaled(square: Tensor, norm: Tensor, channels: int, size: int, normalize: str) -> tuple[Tensor, Tensor]:
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


def _fake(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    chains, dtype = layers[0].shape[0], torch.float64 if layers[0].dtype == torch.float64 else torch.float32
    numbers = _product_offsets(layers, targets, is_dual)[-1] if with_gradient else 0
    shapes = ((chains,), (len(layers), chains), (chains, numbers))
    loss, slopes, products = (layers[0].new_empty(shape, dtype=dtype) for shape in shapes)
    return loss, slopes, products


def _fake_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    return [_gradient_like(layer) for layer in layers]


def _setup_context(ctx, inputs, output) -> None:
    layers, targets, _, is_dual, _, with_gradient = inputs
    if not with_gradient:
        raise RuntimeError("gram_loss was called without its gradient; pass features that require grad")
    _, slopes, products = output
    ctx.mark_non_differentiable(slopes, products)
    ctx.count, ctx.is_dual, ctx.target_count = len(layers), is_dual, len(targets)
    references = [target for target, dual in zip(targets, is_dual, strict=True) if dual]
    ctx.save_for_backward(slopes, products, *layers, *references)


def _backward(ctx, grad_loss, _slopes, _products):
    if torch.is_grad_enabled():  # backward was called with create_graph=True
        raise RuntimeError("gram_loss is differentiable once; for second derivatives build it from stic_fast.gram")
    slopes, products, *saved = ctx.saved_tensors
    layers, kept = saved[: ctx.count], iter(saved[ctx.count :])
    references = [next(kept) if dual else None for dual in ctx.is_dual]
    gradients = torch.ops.stic_fast.gram_loss_gradient(grad_loss, slopes, products, layers, references)
    return gradients, [None] * ctx.target_count, None, None, None, None


register(
    "gram_loss",
    "Tensor[] layers, Tensor[] targets, bool[] is_gram, bool[] is_dual, str normalize, bool with_gradient",
    "(Tensor, Tensor, Tensor)",
    cpu=_native,
    reference=_blas,
    fake=_fake,
)
register_autograd("gram_loss", _backward, _setup_context)
register(
    "gram_loss_gradient",
    "Tensor grad_loss, Tensor slopes, Tensor products, Tensor[] layers, Tensor?[] references",
    "Tensor[]",
    cpu=_native_gradient,
    reference=_blas_gradient,
    fake=_fake_gradient,
)
