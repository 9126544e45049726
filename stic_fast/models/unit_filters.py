# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Filters of unit length: the weights of a network that preserves magnitudes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Ready: TypeAlias = "dict[UnitFilter, Tensor]"
"""Weights as they are used, by the filter that they belong to."""


class UnitFilter(nn.Module):
    r"""A weight each of whose rows w is used as :math:`g·w/‖w‖` (Karras et al. 2024, equation 47).

    Where inputs of unit size that do not depend on each other come in, numbers of size g come out. A row's length says
    nothing then; while it trains it is brought back to √(row's elements) before every pass, so that a learning rate
    means the same share of every weight, and gradients along a row are left out.

    Args:
        shape: (rows, ...); of four dimensions for a convolution, whose weight is kept with its channels last.
        gain: g.
    """

    def __init__(self, *shape: int, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        empty = torch.empty(shape)
        nhwc = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        self.weight = nn.Parameter(empty.to(memory_format=nhwc))

    def reset_parameters(self) -> None:
        """Draws the weight anew from torch's global generator."""
        nn.init.normal_(self.weight)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.weight.shape))}, gain={self.gain:.3g}"


class UnitFilters:
    """All unit filters of a network, made ready together: once for a pass that trains them, once for all others.

    >>> net = nn.Sequential(UnitFilter(4, 9, gain=2.0))
    >>> net[0].reset_parameters()
    >>> ready = UnitFilters(net).ready(torch.float32)
    >>> ready[net[0]].norm(dim=1)
    tensor([2., 2., 2., 2.], grad_fn=<LinalgVectorNormBackward0>)
    """

    def __init__(self, network: nn.Module) -> None:
        self._filters = [module for module in network.modules() if isinstance(module, UnitFilter)]
        self._kept: dict[torch.dtype, tuple[Any, Ready]] = {}

    def __iter__(self) -> Iterator[UnitFilter]:
        return iter(self._filters)

    def ready(self, dtype: torch.dtype) -> Ready:
        """Each filter's weight as it is used, in this type."""
        trains = torch.is_grad_enabled() and any(filter.weight.requires_grad for filter in self._filters)
        if trains:
            for filter in self._filters:
                if filter.training:
                    _bring_to_length(filter.weight)
            return self._made(dtype)
        versions = [(filter.weight.data_ptr(), filter.weight._version) for filter in self._filters]
        kept = self._kept.get(dtype)
        if kept is None or kept[0] != versions:
            with torch.no_grad():
                kept = versions, self._made(dtype)
            if not torch.is_inference_mode_enabled():  # such tensors are of no use outside
                self._kept[dtype] = kept
        return kept[1]

    def _made(self, dtype: torch.dtype) -> Ready:
        return {filter: _Unit.apply(filter.weight, filter.gain, dtype) for filter in self._filters}  # type: ignore[no-untyped-call]


def _inverse_lengths(weight: Tensor) -> Tensor:
    dims: Sequence[int] = tuple(range(1, weight.dim()))
    lengths: Tensor = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    return 1 / lengths.clamp_min(torch.finfo(weight.dtype).tiny)


def _bring_to_length(weight: Tensor) -> None:
    with torch.no_grad():
        weight.mul_(_inverse_lengths(weight) * weight[0].numel() ** 0.5)


class _Unit(torch.autograd.Function):
    """g·w/‖w‖ in another type; one pass there and one back."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, gain: float, dtype: torch.dtype) -> Tensor:
        inverse = _inverse_lengths(weight)
        ctx.save_for_backward(weight, inverse)
        ctx.gain = gain
        return (weight * (gain * inverse)).to(dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        weight, inverse = ctx.saved_tensors
        gradient = gradient.to(weight.dtype)
        along = (gradient * weight).sum(tuple(range(1, weight.dim())), keepdim=True) * inverse.square()
        return torch.addcmul(gradient, weight, along, value=-1) * (ctx.gain * inverse), None, None
