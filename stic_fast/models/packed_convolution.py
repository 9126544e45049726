# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A 2-D convolution whose weights lie in oneDNN's own blocked form, for the pass and for the gradient in its input.

`torch.nn.functional.conv2d` hands oneDNN plain weights, which it brings into that form in every call, and again in the
backward pass. With few images and many channels that takes longer than a multiplication in bfloat16. The ops used here
are those that `torch.compile` uses for inference with frozen weights. They have no derivative, so the gradient is
written as the transposed convolution that it is.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_UNFUSED: tuple[str, list[float], None] = ("none", [], None)
"""No elementwise function after the convolution."""


@cache
def packs(dtype: torch.dtype) -> bool:
    """Whether this machine and this PyTorch pack weights of a type: float32 and bfloat16, on x86 with oneDNN.

    >>> packs(torch.float64)
    False
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if not x86 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkldnn, "_convolution_transpose_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packable(x: Tensor, weight: Tensor, dtype: torch.dtype, *options: Any) -> bool:
    """Whether a `PackedConvolution` of `weight` in `dtype` can compute `conv2d(x, weight, None, *options)`.

    Whatever conv2d would refuse is not packable, so that its own message tells why.
    """
    _, padding, dilation, groups = _filled(options)
    if type(x) is not Tensor or x.dim() != 4 or x.numel() == 0 or groups != 1 or isinstance(padding, str):
        return False
    converted = dtype != weight.dtype and x.dtype == torch.float32  # by autocast
    if not (x.dtype == dtype or converted) or x.shape[1] != weight.shape[1] or not torch.backends.mkldnn.enabled:
        return False
    if not (x.is_cpu and weight.is_cpu and packs(dtype)):
        return False
    sizes = zip(x.shape[2:], weight.shape[2:], _pair(padding), _pair(dilation), strict=True)
    return all(size + 2 * margin > spread * (kernel - 1) for size, kernel, margin, spread in sizes)


class PackedConvolution:
    """`conv2d` with fixed weights, differentiable once in its input; the result has memory format channels_last.

    Args:
        weight: (out_channels, in_channels, height, width), float32 or bfloat16.
        bias: (out_channels,) of that type, or None.
        shape: of the inputs that the weights are packed for. Others are computed as well, if they call for another
            form at the cost that packing saves.
        options: stride, padding and dilation, as for `torch.nn.functional.conv2d`.

    >>> weight, x = torch.ones(4, 2, 3, 3), torch.ones(1, 2, 5, 5)
    >>> if packable(x, weight, torch.float32, 2, 1):
    ...     assert torch.equal(PackedConvolution(weight, None, x.shape, 2, 1)(x), torch.conv2d(x, weight, None, 2, 1))
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int], *options: Any) -> None:
        stride, padding, dilation, _ = _filled(options)
        self.stride, self.padding, self.dilation = _pair(stride), _pair(padding), _pair(dilation)
        self.kernel, self.dtype, self.bias = weight.shape[2:], weight.dtype, bias
        weight, out = weight.contiguous(), [self._windows(shape[2:], side) // self.stride[side] + 1 for side in (0, 1)]
        self._forth = torch.ops.aten.mkldnn_reorder_conv2d_weight(
            weight.to_mkldnn(), self.padding, self.stride, self.dilation, 1, shape
        )
        unread, given = self._unread(shape[2:]), (shape[0], weight.shape[0], *out)
        self._back = torch.ops.mkldnn._reorder_convolution_transpose_weight(
            weight, self.padding, unread, self.stride, self.dilation, 1, given
        )

    def __call__(self, x: Tensor) -> Tensor:
        """The convolution of x (batch, in_channels, height, width), in the weights' precision."""
        return _Convolve.apply(x.to(self.dtype), self)  # type: ignore[no-untyped-call, no-any-return]

    def convolve(self, x: Tensor) -> Tensor:
        """The result without a graph; x is channels_last."""
        return torch.ops.mkldnn._convolution_pointwise(  # type: ignore[no-any-return]
            x, self._forth, self.bias, self.padding, self.stride, self.dilation, 1, *_UNFUSED
        )

    def pull_back(self, gradient: Tensor, size: Sequence[int]) -> Tensor:
        """The gradient in an input of that height and width from the one in the result, which is channels_last."""
        return torch.ops.mkldnn._convolution_transpose_pointwise(  # type: ignore[no-any-return]
            gradient, self._back, None, self.padding, self._unread(size), self.stride, self.dilation, 1, *_UNFUSED
        )

    def _windows(self, size: Sequence[int], side: int) -> int:
        """How far the kernel can move along a side of the padded input."""
        return size[side] + 2 * self.padding[side] - self.dilation[side] * (self.kernel[side] - 1) - 1

    def _unread(self, size: Sequence[int]) -> list[int]:
        """Rows and columns at the far edges that the strides leave out."""
        return [self._windows(size, side) % self.stride[side] for side in (0, 1)]


class _Convolve(torch.autograd.Function):
    """Makes a packed convolution differentiable. It saves no tensor: the gradient needs the weights alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, convolution: PackedConvolution) -> Tensor:
        ctx.convolution, ctx.size = convolution, x.shape[2:]
        return convolution.convolve(_channels_last(x))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.convolution.pull_back(_channels_last(gradient), ctx.size), None


def _channels_last(x: Tensor) -> Tensor:
    """x in that memory format, told by its strides too where a single channel leaves them open."""
    x = x.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = x.shape
    return x.as_strided(x.shape, (channels * height * width, 1, width * channels, channels))


def _filled(options: Sequence[Any]) -> tuple[Any, Any, Any, Any]:
    """stride, padding, dilation and groups, with conv2d's defaults for those that are not given."""
    defaults: tuple[Any, ...] = (1, 0, 1, 1)
    stride, padding, dilation, groups = (*options, *defaults[len(options) :])
    return stride, padding, dilation, groups


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])
