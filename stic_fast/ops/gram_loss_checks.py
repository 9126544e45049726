# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the ops of the Gram loss require of their lists of tensors, below the dispatcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from stic_fast.ops.checks import KEPT, Kind, check_numbers
from stic_fast.ops.gram import check_features
from stic_fast.ops.gram_loss_blas import GramScale
from stic_fast.ops.library import DTYPE_CODES

NORMALIZE = get_args(GramScale)
NO_LAYERS = "features must hold at least one layer, got an empty sequence; pass a tensor or a list of them"


def check_loss(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
    allow_tf32: bool,
) -> None:
    """The arguments of `gram_loss`: one target a layer, features or a Gram matrix of one chain or of all."""
    kinds = check_layers(layers)
    if not len(layers) == len(targets) == len(is_gram) == len(is_dual):
        raise ValueError(
            f"targets, is_gram and is_dual must hold one entry per layer, {len(layers)}, "
            f"got {len(targets)}, {len(is_gram)} and {len(is_dual)}; leave none out"
        )
    for index, kind in enumerate(kinds):
        check_target(index, kind, targets[index], is_gram[index])
        if is_gram[index] and is_dual[index]:
            raise ValueError(f"layer {index} has a gram matrix, which the dual form cannot use; set is_dual to False")
    if normalize not in NORMALIZE:
        raise ValueError(f"normalize must be one of {', '.join(NORMALIZE)}, got {normalize!r}; choose one")


def check_gradient(
    grad_loss: Tensor,
    slopes: Tensor,
    products: Tensor,
    layers: Sequence[Tensor],
    references: Sequence[Tensor | None],
) -> None:
    """The arguments of `gram_loss_gradient`, but for the shape of `products`, which each form of it checks itself."""
    kinds = check_layers(layers)
    if len(references) != len(layers):
        raise ValueError(
            f"references must hold one entry per layer, {len(layers)}, got {len(references)}; "
            "give None for each layer of the primal form"
        )
    for index, (kind, reference) in enumerate(zip(kinds, references, strict=True)):
        if reference is not None:
            check_target(index, kind, reference, False)
    (chains, *_), dtype, device = kinds[0]
    sums = torch.float64 if dtype == torch.float64 else torch.float32
    check_numbers("grad_loss", grad_loss, "one value per chain", (torch.Size((chains,)), sums, device))
    check_numbers("slopes", slopes, KEPT, (torch.Size((len(layers), chains)), sums, device))
    if products.device != device:
        raise ValueError(f"products must be on {device} like the layers, got {products.device}; move it")


def check_layers(layers: Sequence[Tensor]) -> list[Kind]:
    """The kinds of one or more layers of one batch, dtype and device, none of them empty."""
    kinds: list[Kind] = []
    for index, layer in enumerate(layers):
        kind = shape, dtype, device = layer.shape, layer.dtype, layer.device
        if len(shape) < 3 or dtype not in DTYPE_CODES or not layer.numel():
            check_features(name_of(index, len(layers)), layer)
        kinds.append(kind)
        first_shape, first_dtype, first_device = kinds[0]
        for what, own, wanted in (("dtype", dtype, first_dtype), ("device", device, first_device)):
            if own != wanted:
                raise TypeError(
                    f"features[{index}] must have the {what} of features[0], {wanted}, "
                    f"got {own}; bring all layers to one {what}"
                )
        if shape[0] != first_shape[0]:
            raise ValueError(
                f"features[{index}] must have the batch size of features[0], {first_shape[0]}, got {shape[0]}; "
                "take all layers from one forward pass"
            )
    if not kinds:
        raise ValueError(NO_LAYERS)
    return kinds


def name_of(index: int, count: int) -> str:
    """What messages call a layer."""
    return "features" if count == 1 else f"features[{index}]"


def target_name(index: int, is_gram: bool) -> str:
    """What messages call what a layer is held against."""
    return f"{'gram' if is_gram else 'reference'}[{index}]"


def check_target(index: int, layer: Kind, target: Tensor, is_gram: bool) -> None:
    """That a layer of that kind can be held against these reference features, or this Gram matrix."""
    name = target_name(index, is_gram)
    if not is_gram:
        check_features(name, target)
    layer_shape, layer_dtype, layer_device = layer
    shape, dtype, device = target.shape, target.dtype, target.device
    batch, channels = layer_shape[0], layer_shape[1]
    if (
        len(shape) < 3
        or shape[1] != channels
        or shape[0] not in (1, batch)
        or (is_gram and tuple(shape[2:]) != (channels,))
    ):
        wanted = f"(1 or {batch}, {channels}, {channels if is_gram else '*S'})"
        raise ValueError(
            f"{name} must have shape {wanted} to match features[{index}] of shape {tuple(layer_shape)}, "
            f"got {tuple(shape)}; take it from the same layer of the same network"
        )
    if device == layer_device and (dtype == layer_dtype or (is_gram and dtype == _matrices(layer_dtype))):
        return
    kinds = {layer_dtype, _matrices(layer_dtype)} if is_gram else {layer_dtype}
    raise TypeError(
        f"{name} must be {' or '.join(sorted(map(str, kinds)))} on {layer_device} like the features, "
        f"got {dtype} on {device}; convert it with .to(features)"
    )


def _matrices(features: torch.dtype) -> torch.dtype:
    """The dtype in which Gram matrices beside 16-bit features may come as well."""
    return torch.promote_types(features, torch.float32)
