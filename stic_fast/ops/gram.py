# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Gram matrices of feature maps."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from stic_fast.ops.checks import check_float_tensor, check_tensor
from stic_fast.ops.library import fresh, register


def gram(features: Tensor) -> Tensor:
    r"""The Gram matrix of each sample's features, :math:`G = F F^T / M` (Gatys et al. 2016; STIC, section 2).

    Args:
        features: (batch, channels, *S), F after flattening S into M = prod(S) positions; float32, float64, bfloat16
            or float16, accumulated in fp32 (fp64 for float64).

    Returns:
        (batch, channels, channels), symmetric, of the dtype of `features`, whose squares soon leave float16's range:
        take `gram(features.float())` there. Differentiable to any order.

    Raises:
        TypeError, ValueError: not a floating tensor of at least three dimensions, or no positions.

    >>> from stic_fast import gram
    >>> gram(torch.ones(1, 2, 4, 4))
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    return torch.ops.stic_fast.gram.default(check_tensor("features", features))


def check_features(name: str, value: object) -> Tensor:
    """`value` as a floating tensor (batch, channels, *S) with at least one position."""
    tensor = check_float_tensor(name, value)
    shape = tensor.shape
    if len(shape) >= 3 and tensor.numel():
        return tensor
    if len(shape) < 3:
        raise ValueError(
            f"{name} must have shape (batch, channels, *S), got {tuple(tensor.shape)}; "
            f"add a spatial dimension with {name}[..., None]"
        )
    if math.prod(tensor.shape[1:]) == 0:
        raise ValueError(
            f"{name} must have at least one channel and one position, got shape {tuple(tensor.shape)}; "
            "take features of a layer that is not empty"
        )
    return tensor


def positions(features: Tensor) -> Tensor:
    """F as (batch, channels, M) in the dtype the products accumulate in."""
    flat = features.flatten(2)
    return flat if flat.dtype in (torch.float32, torch.float64) else flat.float()


def outside_autocast(features: Tensor) -> AbstractContextManager[object]:
    """Within it products keep the precision of `features`, whatever the caller's autocast would round them to."""
    device = features.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def reference(features: Tensor) -> Tensor:
    """The Gram matrix in plain PyTorch."""
    with outside_autocast(features):
        flat = positions(features)
        return (flat @ flat.mT / flat.shape[2]).to(features.dtype)


def _blas(features: Tensor) -> Tensor:
    with outside_autocast(features):
        flat = positions(features)
        matrices = fresh(flat.new_empty(flat.shape[0], flat.shape[1], flat.shape[1]))
        torch.bmm(flat, flat.mT, out=matrices)
        matrices.div_(2 * flat.shape[2])
        # A BLAS may round an entry and its mirror image apart; where it does not, this changes no bit.
        symmetric = matrices + matrices.mT
        return symmetric if symmetric.dtype == features.dtype else symmetric.to(features.dtype)


def _fake(features: Tensor) -> Tensor:
    return features.new_empty(features.shape[0], features.shape[1], features.shape[1])


def _setup_context(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad):
    (features,) = ctx.saved_tensors
    flat = positions(features)
    symmetric = (grad + grad.mT).to(flat.dtype)
    return ((symmetric @ flat / flat.shape[2]).reshape(features.shape).to(features.dtype),)


def _check(features: Tensor) -> None:
    check_features("features", features)


register(
    "gram",
    "Tensor features",
    "Tensor",
    check=_check,
    cpu=_blas,
    reference=_blas,
    fake=_fake,
    derivative=(_backward, _setup_context),
    plain=reference,
)
