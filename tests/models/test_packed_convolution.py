# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A packed convolution is conv2d, in value and in gradient, whatever the geometry; what it cannot do it leaves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.models.packed_convolution import PackedConvolution, packable, packs

pytestmark = pytest.mark.skipif(not packs(torch.float32), reason="packs on x86 with oneDNN only")

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
DTYPES = [
    dtype
    if packs(dtype)
    else pytest.param(dtype, marks=pytest.mark.skip(reason="this CPU has no bfloat16 convolutions"))
    for dtype in TOLERANCE
]
GEOMETRIES = [
    pytest.param((3, 5), (9, 9), (3, 3), (1, 1, 1), id="same size"),
    pytest.param((3, 5), (9, 9), (3, 3), (), id="defaults"),
    pytest.param((4, 8), (9, 8), (3, 3), (2, 1), id="stride that leaves a row unread"),
    pytest.param((4, 8), (10, 7), (1, 1), (2,), id="1x1 of stride 2"),
    pytest.param((4, 8), (11, 12), (3, 5), ((3, 2), (0, 2), (2, 1)), id="all of it different by side"),
    pytest.param((1, 4), (6, 6), (3, 3), (1, 1), id="one channel in"),
    pytest.param((4, 1), (6, 6), (3, 3), (1, [1]), id="one channel out"),
    pytest.param((4, 6), (1, 1), (1, 1), (1, 0), id="one position"),
    pytest.param((4, 6), (5, 5), (3, 3), ([1, 1], [1, 1], [1, 1], 1), id="lists"),
]


def drawn(shape: tuple[int, ...], dtype: torch.dtype, *, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def value_and_gradient(function: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_(True)
    y = function(x)
    cotangent = drawn(tuple(y.shape), y.dtype, seed=9)
    return y.detach(), torch.autograd.grad(y, x, cotangent)[0]


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "size", "kernel", "options"), GEOMETRIES)
def test_value_and_gradient(
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    options: tuple[Any, ...],
    dtype: torch.dtype,
    with_bias: bool,
) -> None:
    came, out = channels
    x = drawn((2, came, *size), dtype, seed=0)
    weight, bias = drawn((out, came, *kernel), dtype, seed=1), drawn((out,), dtype, seed=2) if with_bias else None
    assert packable(x, weight, dtype, *options)
    packed = PackedConvolution(weight, bias, x.shape, *options)
    mine = value_and_gradient(packed, x)
    exact = value_and_gradient(
        lambda x: torch.conv2d(x, weight.double(), None if bias is None else bias.double(), *options), x.double()
    )
    for ours, theirs in zip(mine, exact, strict=True):
        assert ours.dtype == dtype
        assert (ours.double() - theirs).norm() <= TOLERANCE[dtype] * theirs.norm()


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_of_other_shapes_and_layouts(dtype: torch.dtype) -> None:
    weight = drawn((8, 4, 3, 3), dtype, seed=1)
    packed = PackedConvolution(weight, None, (2, 4, 8, 8), 2, 1)
    for shape in ((2, 4, 8, 8), (1, 4, 8, 8), (3, 4, 17, 5), (40, 4, 8, 8)):
        x = drawn(shape, dtype, seed=0)
        expected = value_and_gradient(lambda x: torch.conv2d(x, weight, None, 2, 1), x)
        for same in (x, x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
            for ours, theirs in zip(value_and_gradient(packed, same), expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-4)
                assert ours.is_contiguous(memory_format=torch.channels_last)


def test_what_is_left_to_conv2d() -> None:
    x, weight = torch.zeros(2, 4, 8, 8), torch.zeros(6, 4, 3, 3)
    assert packable(x, weight, torch.float32, 1, 1, 1, 1)
    left = {
        "an empty batch": packable(x[:0], weight, torch.float32),
        "no batch": packable(x[0], weight, torch.float32),
        "groups": packable(x, torch.zeros(6, 2, 3, 3), torch.float32, 1, 1, 1, 2),
        "padding by name": packable(x, weight, torch.float32, 1, "same"),
        "float64": packable(x.double(), weight.double(), torch.float64),
        "another precision than the weights'": packable(x.bfloat16(), weight, torch.float32),
        "a subclass": packable(torch.nn.Parameter(x), weight, torch.float32),
        "other channels, which conv2d refuses": packable(x[:, :3], weight, torch.float32),
        "a kernel beyond the image, which conv2d refuses": packable(x[:, :, :2], weight, torch.float32),
    }
    assert not any(left.values()), left
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        assert not packable(x, weight, torch.float32)


def test_it_is_differentiable_once() -> None:
    packed = PackedConvolution(drawn((4, 2, 3, 3), torch.float32, seed=1), None, (1, 2, 5, 5))
    x = torch.ones(1, 2, 5, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(packed(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
