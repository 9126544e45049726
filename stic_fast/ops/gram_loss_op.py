# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The ops behind `gram_loss`: native on a CPU and on CUDA, batched matrix products elsewhere and in float64.

On a CPU `gram_loss` keeps the products that the gradient needs again, which are smaller than the features, and
`gram_loss_gradient` multiplies with them and writes the gradient once, its factor known; written by the forward pass,
it would have to be read and written again. `gram_loss_cuda` decides otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor

from stic_fast.ops import gram_loss_cuda
from stic_fast.ops.batching import Rule, joined_chains, loop
from stic_fast.ops.gram_loss_blas import (
    GramScale,
    channels_last,
    check_products,
    empty_results,
    gradient_by_products,
    gradient_like,
    has_kernel,
    laid_out,
    loss_by_products,
    product_offsets,
)
from stic_fast.ops.gram_loss_checks import check_gradient, check_loss
from stic_fast.ops.library import DTYPE_CODES, address, fresh, launch, register


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
    chains = features.shape[0]
    target = matrix if reference is None else reference
    return (
        address(features),
        address(reference),
        address(matrix),
        address(products),
        address(terms),
        address(slopes),
        address(grad_loss),
        address(gradient),
        DTYPE_CODES[features.dtype],
        chains,
        channels,
        features[0].numel() // channels,
        0 if reference is None else reference[0].numel() // channels,
        stride,
        channels_last,
        target is not None and target.shape[0] < chains,
        dual,
        get_args(GramScale).index(normalize),
    )


def _native(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    if not has_kernel(layers[0]):
        return loss_by_products(layers, targets, is_gram, is_dual, normalize, with_gradient, allow_tf32)
    loss, slopes, products = empty_results(layers, targets, is_gram, is_dual, normalize, with_gradient)
    chains = loss.shape[0]
    if chains == 0:
        return loss, slopes, products
    fresh(products)
    terms = torch.empty_like(slopes)
    described, alive = [], []
    offsets = product_offsets(layers, targets, is_dual)
    for index, (layer, target, given, dual) in enumerate(zip(layers, targets, is_gram, is_dual, strict=True)):
        if target.shape[0] < chains and not given and not dual:
            target, given = torch.ops.stic_fast.gram.default(target.float()), True
        last = channels_last(layer)
        features, target = laid_out(layer, last), target.float().contiguous() if given else laid_out(target, last)
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
    launch("gram_loss", loss.device, described)
    return torch.sum(terms, 0, out=loss), slopes, products


def _native_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    if not has_kernel(layers[0]):
        return gradient_by_products(grad_loss, slopes, products, layers, references)
    is_dual = [reference is not None for reference in references]
    offsets = product_offsets(layers, references, is_dual)
    check_products(products, layers, offsets)
    gradients = [fresh(gradient_like(layer)) for layer in layers]
    if not products.shape[0]:
        return gradients
    grad_loss, slopes, products = grad_loss.contiguous(), slopes.contiguous(), products.contiguous()
    described, alive = [], []
    for index, (layer, reference) in enumerate(zip(layers, references, strict=True)):
        last = channels_last(layer)
        features, other = laid_out(layer, last), None if reference is None else laid_out(reference, last)
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
    launch("gram_loss_gradient", grad_loss.device, described)
    return gradients


def _on_cuda(layers: Sequence[Tensor], *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    loss = gram_loss_cuda.loss if gram_loss_cuda.takes(layers) else loss_by_products
    return loss(layers, *arguments)


def _gradient_on_cuda(
    grad_loss: Tensor,
    slopes: Tensor,
    kept: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    if gram_loss_cuda.takes(layers):
        return gram_loss_cuda.gradient(grad_loss, kept, layers)
    return gradient_by_products(grad_loss, slopes, kept, layers, references)


def _fake(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    if gram_loss_cuda.takes(layers):
        return gram_loss_cuda.empty_results(layers, with_gradient)
    return empty_results(layers, targets, is_gram, is_dual, normalize, with_gradient)


def _fake_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> list[Tensor]:
    if gram_loss_cuda.takes(layers):
        gram_loss_cuda.check_kept(products, layers)
    else:
        offsets = product_offsets(layers, references, [reference is not None for reference in references])
        check_products(products, layers, offsets)
    return [gradient_like(layer) for layer in layers]


def _joined_losses(op: Any, check: Callable[..., Any]) -> Rule:
    """The rule of `gram_loss` for vmap."""
    joined = joined_chains(op, check, outputs=(0, 1, 0), one_for_all=("targets",))
    return _kept_by_chains(joined, loop(op))


def _joined_gradients(op: Any, check: Callable[..., Any]) -> Rule:
    """The rule of `gram_loss_gradient` for vmap."""
    joined = joined_chains(op, check, axes={"slopes": 1}, one_for_all=("references",))
    return _kept_by_chains(joined, loop(op))


def _kept_by_chains(joined: Rule, one_by_one: Rule) -> Rule:
    """On a GPU what the gradient needs lies there layer by layer, and cannot be cut into slices of chains."""

    def rule(info: Any, dims: Any, first: Any, *arguments: Any) -> tuple[Any, Any]:
        place = (first if isinstance(first, Tensor) else first[0]).device
        return (one_by_one if place.type == "cuda" else joined)(info, dims, first, *arguments)

    return rule


register(
    "gram_loss",
    "Tensor[] layers, Tensor[] targets, bool[] is_gram, bool[] is_dual, str normalize, bool with_gradient, "
    "bool allow_tf32",
    "(Tensor, Tensor, Tensor)",
    check=check_loss,
    cpu=_native,
    cuda=_on_cuda,
    reference=loss_by_products,
    fake=_fake,
    vmap=_joined_losses,
)
register(
    "gram_loss_gradient",
    "Tensor grad_loss, Tensor slopes, Tensor products, Tensor[] layers, Tensor?[] references",
    "Tensor[]",
    check=check_gradient,
    cpu=_native_gradient,
    cuda=_gradient_on_cuda,
    reference=gradient_by_products,
    fake=_fake_gradient,
    vmap=_joined_gradients,
)
