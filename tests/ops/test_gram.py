# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Gram matrices against plain PyTorch: values, derivatives of both orders, layouts, empty batches, wrong arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.ops import gram
from stic_fast.ops.gram import reference

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((1, 1, 1), (3, 5, 7), (2, 7, 5, 3), (2, 3, 2, 2, 2), (2, 65, 33), (4, 32, 8, 8), (0, 3, 4))


def sample_inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def test_a_gram_matrix_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 1.0], [0.0, -1.0]]]])
    assert gram(features).tolist() == [[[7.5, -0.5], [-0.5, 0.5]]]


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_value(assert_as_exact: Callable[..., None], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    features = sample_inputs(shape, dtype)
    out = gram(features)
    assert out.shape == (shape[0], shape[1], shape[1]) and out.dtype == dtype
    flat = features.double().flatten(2)
    assert_as_exact(out, reference(features), flat @ flat.mT / flat.shape[2])


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient(assert_as_exact: Callable[..., None], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    features = sample_inputs(shape, dtype).requires_grad_()
    weight = sample_inputs((shape[0], shape[1], shape[1]), dtype)
    exact = features.detach().double().requires_grad_()
    (native,) = torch.autograd.grad(gram(features), features, weight)
    (plain,) = torch.autograd.grad(reference(features), features, weight)
    (wanted,) = torch.autograd.grad(reference(exact), exact, weight.double())
    # Both sides may round weight + weightᵀ to the dtype: one rounding of every term of the product.
    floor = torch.finfo(dtype).eps * float(wanted.abs().max())
    assert_as_exact(native, plain, wanted, floor=2 * floor)


@pytest.mark.parametrize("shape", SHAPES)
def test_is_symmetric_and_positive(shape: tuple[int, ...]) -> None:
    matrix = gram(sample_inputs(shape, torch.float64))
    assert torch.equal(matrix, matrix.mT)
    assert bool((torch.linalg.eigvalsh(matrix) > -1e-12).all())


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_give_the_same(dtype: torch.dtype) -> None:
    features = sample_inputs((2, 6, 5, 4), dtype)
    wanted = gram(features)
    tolerance = {"rtol": 2 * torch.finfo(dtype).eps, "atol": 2 * torch.finfo(dtype).eps}
    for laid_out in (
        features.contiguous(memory_format=torch.channels_last),
        features.transpose(0, 3).contiguous().transpose(0, 3),
        torch.cat((features, features), 1)[:, :6],
        features.transpose(2, 3),  # the order of positions does not matter
    ):
        assert not laid_out.is_contiguous()
        torch.testing.assert_close(gram(laid_out), wanted, **tolerance)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 4, 2, 2)])
def test_gradcheck(shape: tuple[int, ...]) -> None:
    features = sample_inputs(shape, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(gram, features)
    assert torch.autograd.gradgradcheck(gram, features)


def test_empty_batch_has_an_empty_gradient() -> None:
    features = torch.zeros(0, 3, 4, 4, requires_grad=True)
    out = gram(features)
    out.sum().backward()
    assert out.shape == (0, 3, 3) and features.grad is not None and features.grad.shape == (0, 3, 4, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck(dtype: torch.dtype, requires_grad: bool) -> None:
    features = sample_inputs((2, 3, 4, 2), dtype).requires_grad_(requires_grad)
    torch.library.opcheck(torch.ops.stic_fast.gram.default, (features,))


@pytest.mark.parametrize(
    ("features", "error"),
    [
        ([[[1.0]]], TypeError),
        (torch.zeros(1, 2, 3, dtype=torch.int32), TypeError),
        (torch.zeros(2, 3), ValueError),
        (torch.zeros(2, 3, 0), ValueError),
        (torch.zeros(2, 0, 3), ValueError),
    ],
)
def test_errors_name_the_argument(features: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^features "):
        gram(features)
