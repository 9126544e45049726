# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss on a GPU: one launch for all layers reads the features once and writes each layer's term and gradient.

The forward pass keeps the gradient of the layers' terms, laid out like the features, one layer after the other; the
backward pass multiplies it with the loss's own gradient, chain by chain. See csrc/cuda/gram_loss.cuh. float16 features
go through in float32: a kept gradient, not yet scaled with the loss, might be too small for float16.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor

from stic_fast.ops.checks import KEPT, check_numbers
from stic_fast.ops.gram_loss_blas import GramScale, channels_last, gradient_like, laid_out, round_up
from stic_fast.ops.library import DTYPE_CODES, address, has_cuda_kernels, launch

MOST_DUAL_POSITIONS = 64
"""Positions of features and of references that the dual form's tiles hold (csrc/cuda/gram_layer.h)."""

_ALIGNED = 16
"""Bytes that kept gradients and the rows of D begin at multiples of."""
_MOST_NUMBERS, _FEW_CHAINS = 2**20, 32
"""A chain of one layer is one multiprocessor's work. Large layers of few chains keep too few of them busy and go
through the BLAS, which divides a matrix."""


def takes(layers: Sequence[Tensor]) -> bool:
    """Whether the kernels take these layers; they may be fakes."""
    first = layers[0]
    if first.device.type != "cuda" or first.dtype == torch.float64 or not has_cuda_kernels(first.device.index):
        return False
    largest = max(layer.shape[1] * layer.shape[2:].numel() for layer in layers)
    return largest <= _MOST_NUMBERS or first.shape[0] >= _FEW_CHAINS


def empty_results(layers: Sequence[Tensor], with_gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The loss (chains,), the layers' derivatives in ‖G − A‖² (layers, chains), and the kept gradients."""
    chains = layers[0].shape[0]
    loss, slopes = (layers[0].new_empty(shape, dtype=torch.float32) for shape in ((chains,), (len(layers), chains)))
    numbers = _offsets(layers)[-1] if with_gradient else 0
    return loss, slopes, layers[0].new_empty(numbers, dtype=_kernel_dtype(layers[0]))


def check_kept(kept: Tensor, layers: Sequence[Tensor]) -> None:
    """That the kept gradients are those of these layers."""
    kind = (torch.Size((_offsets(layers)[-1],)), _kernel_dtype(layers[0]), layers[0].device)
    check_numbers("products", kept, KEPT, kind)


def _kernel_dtype(layer: Tensor) -> torch.dtype:
    return torch.float32 if layer.dtype == torch.float16 else layer.dtype


def _offsets(layers: Sequence[Tensor]) -> list[int]:
    """Where each layer's kept gradient begins, and where the last one ends."""
    step = _ALIGNED // _kernel_dtype(layers[0]).itemsize
    return [0, *itertools.accumulate(round_up(layer.numel(), step) for layer in layers)]


def loss(
    layers: Sequence[Tensor],
    targets: Sequence[Tensor],
    is_gram: Sequence[bool],
    is_dual: Sequence[bool],
    normalize: str,
    with_gradient: bool,
    allow_tf32: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    total, slopes, kept = empty_results(layers, with_gradient)
    chains, dtype = len(total), kept.dtype
    terms, offsets = torch.empty_like(slopes), _offsets(layers)
    described, alive = [], []
    for index, (layer, target, given, dual) in enumerate(zip(layers, targets, is_gram, is_dual, strict=True)):
        last, channels = channels_last(layer), layer.shape[1]
        size, reference_size = layer.shape[2:].numel(), 0 if given else target.shape[2:].numel()
        dual = dual and max(size, reference_size) <= MOST_DUAL_POSITIONS
        features = laid_out(layer, last).to(dtype)
        other = target.float().contiguous() if given else laid_out(target, last).to(dtype)
        difference = None
        if with_gradient and not dual:
            pitch = round_up(channels, _ALIGNED // torch.float32.itemsize)
            difference = layer.new_empty(chains * channels * pitch, dtype=torch.float32)
        alive += [features, other, difference]
        described.append(
            (
                address(features),
                0 if given else address(other),
                address(other) if given else 0,
                address(difference),
                address(kept[offsets[index] :]) if with_gradient else 0,
                address(terms[index]),
                address(slopes[index]),
                channels,
                size,
                reference_size,
                last,
                len(target) < chains,
                dual,
                get_args(GramScale).index(normalize),
            )
        )
    launch("gram_loss", total.device, described, chains, DTYPE_CODES[dtype], not allow_tf32)
    return torch.sum(terms, 0, out=total), slopes, kept


def gradient(grad_loss: Tensor, kept: Tensor, layers: Sequence[Tensor]) -> list[Tensor]:
    check_kept(kept, layers)
    gradients = [gradient_like(layer, kept.dtype) for layer in layers]
    chains, grad_loss, kept = len(grad_loss), grad_loss.contiguous(), kept.contiguous()
    described = [
        (address(kept[offset:]), address(gradient), gradient.numel() // max(chains, 1))
        for offset, gradient in zip(_offsets(layers), gradients, strict=False)
    ]
    launch("gram_gradient", kept.device, described, chains, DTYPE_CODES[kept.dtype], address(grad_loss))
    return [gradient.to(layer.dtype) for gradient, layer in zip(gradients, layers, strict=True)]
