# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`scaled_silu` and its derivatives against PyTorch's own formula and its autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.ops import scaled_silu
from stic_fast.ops.scaled_silu import reference, reference_backward

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
HALVES = (torch.bfloat16, torch.float16)
SHAPES = (
    *((3, 5), (1, 1), (2, 600), (4, 3, 7), (2, 5, 2101), (1, 2, 1, 3, 2)),
    *((3, 64, 4, 4), (2, 3, 9, 7), (2, 70, 5, 3), (1, 600, 2, 3), (2, 1, 40, 61), (2, 4, 1, 1), (1, 24, 67, 31)),
)
LAYOUTS = [(shape, False) for shape in SHAPES] + [(shape, True) for shape in SHAPES if len(shape) == 4]
KINDS = ("number", "per channel", "per channel, wide")
"""Of scale: the wide one is float32 beside a half."""


def plain(x: Tensor, scale: float | Tensor) -> Tensor:
    factor = scale[(..., *[None] * (x.dim() - 2))] if isinstance(scale, Tensor) else scale
    return torch.nn.functional.silu(x * factor) / 0.596


def random(shape: Sequence[int], dtype: torch.dtype, last: bool = False, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape) + seed)
    x = 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.to(dtype).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def random_scale(kind: str, shape: Sequence[int], dtype: torch.dtype) -> float | Tensor:
    if kind == "number":
        return -0.7
    return random(shape[:2], torch.float32 if kind.endswith("wide") and dtype in HALVES else dtype, seed=1)


def gradients(function: Callable[..., Tensor], x: Tensor, scale: float | Tensor, along: Tensor) -> list[Tensor]:
    """The value, and the gradients in x and in a tensor scale of the product of value and `along`."""
    leaves = [value.detach().requires_grad_() for value in (x, scale) if isinstance(value, Tensor)]
    value = function(leaves[0], *leaves[1:] or [scale])
    return [value.detach(), *torch.autograd.grad(value, leaves, along)]


def in_float64(value: float | Tensor) -> float | Tensor:
    return value.double() if isinstance(value, Tensor) else value


def in_compute(value: float | Tensor) -> float | Tensor:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value


@pytest.mark.parametrize(("shape", "last"), LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients_are_those_of_the_plain_formula(
    shape: tuple[int, ...], last: bool, dtype: torch.dtype, kind: str, assert_as_exact: Callable[..., None]
) -> None:
    x, along, scale = random(shape, dtype, last), random(shape, dtype, seed=2), random_scale(kind, shape, dtype)
    native = gradients(scaled_silu, x, scale, along)
    wanted = gradients(plain, in_compute(x), in_compute(scale), in_compute(along))
    exact = gradients(plain, x.double(), in_float64(scale), along.double())
    for got, by_torch, truth, like in zip(native, wanted, exact, (x, x), strict=False):
        assert_as_exact(got, by_torch.to(dtype), truth)
        assert got.stride() == like.stride()
    if isinstance(scale, Tensor):
        summed = 2 * (along * x).double().abs().reshape(*shape[:2], -1).sum(2)  # |silu'|/0.596 < 2
        floor = torch.finfo(scale.dtype).eps * float(summed.max())
        assert_as_exact(native[2], wanted[2].to(scale.dtype), exact[2], floor=floor)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_reference_agrees(dtype: torch.dtype, last: bool, kind: str, assert_as_exact: Callable[..., None]) -> None:
    shape = (2, 6, 5, 3)
    x, grad, scale = random(shape, dtype, last), random(shape, dtype, last, 2), random_scale(kind, shape, dtype)
    given = (scale, 1.0) if isinstance(scale, Tensor) else (None, scale)
    ops = torch.ops.stic_fast
    native = [ops.scaled_silu(x, *given), *ops.scaled_silu_backward(grad, x, *given)]
    wanted = [reference(x, *given), *reference_backward(grad, x, *given)]
    for got, by_torch in zip(native, wanted, strict=True):
        assert got.stride() == by_torch.stride()
        if got.numel():
            assert_as_exact(
                got, by_torch, by_torch.double(), floor=8 * torch.finfo(got.dtype).eps * float(by_torch.abs().max())
            )


def test_unit_numbers_stay_unit_numbers() -> None:
    x = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(3))
    assert float(scaled_silu(x).square().mean()) == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("with_tensor", [False, True])
def test_gradcheck(last: bool, with_tensor: bool) -> None:
    x = random((2, 3, 2, 3), torch.float64, last).requires_grad_()
    leaves = [x, random((2, 3), torch.float64).requires_grad_()] if with_tensor else [x]

    def function(x: Tensor, scale: Tensor | float = 1.3) -> Tensor:
        return scaled_silu(x, scale)

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize("dtype", HALVES)
def test_second_derivatives_of_halves(dtype: torch.dtype) -> None:
    def second(function: Callable[..., Tensor], x: Tensor, scale: Tensor) -> list[Tensor]:
        leaves = [x.clone().requires_grad_(), scale.clone().requires_grad_()]
        first = torch.autograd.grad(function(*leaves).float().square().sum(), leaves, create_graph=True)
        return list(torch.autograd.grad(sum(gradient.double().square().sum() for gradient in first), leaves))

    x, scale = random((2, 3, 4, 5), dtype) / 3, random((2, 3), torch.float32)
    exact = second(plain, x.double(), scale.double())
    for got, truth, kind in zip(second(scaled_silu, x, scale), exact, (dtype, torch.float32), strict=True):
        assert got.dtype == kind
        torch.testing.assert_close(got.double(), truth, rtol=0.05, atol=0.02 * float(truth.abs().max()))


def test_a_graph_keeps_the_activations_alone() -> None:
    x = random((2, 3, 8, 8), torch.bfloat16).requires_grad_()
    scale = random((2, 3), torch.float32).requires_grad_()
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scaled_silu(x, scale)
    assert {tensor.data_ptr() for tensor in kept} == {x.data_ptr(), scale.data_ptr()}


def test_autocast_changes_nothing() -> None:
    x, scale = random((2, 3, 4), torch.float32), random((2, 3), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(scaled_silu(x, scale), scaled_silu(x.clone(), scale.clone()))
        assert scaled_silu(x, scale).dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_other_strides_are_as_contiguous(kind: str) -> None:
    x, scale = random((4, 6, 5, 8), torch.float32), random_scale(kind, (4, 6), torch.float32)
    strided = [x.transpose(2, 3), x[:, :, :, ::2], x[:, ::2], x[:1].expand(4, -1, -1, -1)]
    scales = [scale, scale, scale[:, ::2] if isinstance(scale, Tensor) else scale, scale]
    for view, factor in zip(strided, scales, strict=True):
        got, wanted = (gradients(scaled_silu, values, factor, values) for values in (view, view.contiguous()))
        assert all(map(torch.equal, got, wanted)) and got[0].is_contiguous()


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_layouts_agree(kind: str) -> None:
    shape = (3, 20, 6, 7)
    scale = random_scale(kind, shape, torch.float32)
    (value, grad, *rest), (value_last, grad_last, *rest_last) = (
        gradients(scaled_silu, random(shape, torch.float32, last), scale, random(shape, torch.float32, not last, 2))
        for last in (False, True)
    )
    assert torch.equal(value, value_last) and torch.equal(grad, grad_last)
    for got, wanted in zip(rest, rest_last, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_change_nothing(last: bool, dtype: torch.dtype, with_threads: Callable[..., list[Any]]) -> None:
    x, along = (random((5, 70, 23, 29), dtype, last, seed) for seed in (0, 2))
    for scale in (1.3, random((5, 70), dtype, seed=1)):
        one, two, three = with_threads(lambda scale=scale: gradients(scaled_silu, x, scale, along))
        assert all(map(torch.equal, one, two)) and all(map(torch.equal, one, three))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4), (2, 3, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_empty(shape: tuple[int, ...], kind: str) -> None:
    x, scale = torch.zeros(shape), random_scale(kind, shape, torch.float32)
    value, grad, *rest = gradients(scaled_silu, x, scale, x)
    assert value.shape == grad.shape == shape
    for towards_scale in rest:
        assert towards_scale.shape == shape[:2] and not towards_scale.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_numbers(dtype: torch.dtype) -> None:
    most = torch.finfo(dtype).max / 2
    x = torch.tensor([[0.0, -0.0, 20.0, -20.0, 90.0, -90.0, 800.0, -800.0, most, -most]], dtype=dtype).repeat(7, 1)
    value, grad = gradients(scaled_silu, x, 0.5, torch.ones_like(x))
    exact_value, exact_grad = gradients(plain, x.double(), 0.5, torch.ones_like(x).double())
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(value.double(), exact_value, rtol=4 * eps, atol=4 * eps)
    torch.testing.assert_close(grad.double(), exact_grad, rtol=4 * eps, atol=4 * eps)


def test_nan_stays_where_it_is() -> None:
    x, scale = torch.ones(3, 5, 40), torch.ones(3, 5)
    x[1, 2, 33], scale[2, 4] = float("nan"), float("nan")
    is_nan = x.isnan()
    is_nan[2, 4] = True
    value, grad, towards_scale = gradients(scaled_silu, x, scale, torch.ones_like(x))
    assert torch.equal(value.isnan(), is_nan) and torch.equal(grad.isnan(), is_nan)
    assert torch.equal(towards_scale.isnan(), is_nan.any(2))


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(("kind", "last"), [("number", True), ("per channel", False)])
def test_opcheck(requires_grad: bool, kind: str, last: bool) -> None:
    shape = (2, 3, 4, 5)
    x, scale = random(shape, torch.float32, last), random_scale(kind, shape, torch.float32)
    given = (scale, 1.0) if isinstance(scale, Tensor) else (None, scale)
    for value in (x, *given):
        if isinstance(value, Tensor):
            value.requires_grad_(requires_grad)
    grad = random(shape, torch.float32, seed=2).requires_grad_(requires_grad)
    torch.library.opcheck(torch.ops.stic_fast.scaled_silu.default, (x, *given))
    torch.library.opcheck(torch.ops.stic_fast.scaled_silu_backward.default, (grad, x, *given))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("x", 1.0, TypeError),
        ("x", torch.zeros(2, 3).long(), TypeError),
        ("x", torch.tensor(1.0), ValueError),
        ("x", torch.zeros(3), ValueError),
        ("scale", "1", TypeError),
        ("scale", None, TypeError),
        ("scale", True, TypeError),
        ("scale", torch.tensor(1.0), ValueError),
        ("scale", torch.ones(3), ValueError),
        ("scale", torch.ones(2, 3, 1), ValueError),
        ("scale", torch.ones(1, 3), ValueError),
        ("scale", torch.ones(2, 3).double(), TypeError),
        ("scale", torch.ones(2, 3).bfloat16(), TypeError),
        ("scale", torch.ones(2, 3, device="meta"), ValueError),
    ],
)
def test_errors_name_the_argument_in_one_sentence(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name} [^\n]*; [^\n]*$"):
        scaled_silu(**{"x": torch.zeros(2, 3, 4), "scale": 1.0} | {name: value})


@pytest.mark.parametrize(
    ("grad", "error"), [(torch.zeros(2, 3), ValueError), (torch.zeros(2, 3, 4).double(), TypeError)]
)
def test_a_gradient_unlike_x_is_refused(grad: Tensor, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^grad must have"):
        torch.ops.stic_fast.scaled_silu_backward(grad, torch.zeros(2, 3, 4), None, 1.0)
