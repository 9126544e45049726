# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Gram loss of the GPU's kernels against plain PyTorch in float64: values and gradients in every form and type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

import pytest
import torch
from torch import Tensor

from stic_fast.ops import gram, gram_loss
from stic_fast.ops.gram_loss import GramScale, reference_loss

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

# Features, and reference features or None for a Gram matrix. Up to 64 positions take the dual form.
CASES: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]] = {
    "the paper's": ((4, 640, 8, 8), (4, 640, 8, 8)),
    "dual, ragged": ((3, 65, 2, 3), (3, 65, 5, 1)),
    "dual, one reference of another size": ((5, 130, 7, 7), (1, 130, 11)),
    "dual, one position": ((2, 33, 1), (2, 33, 1)),
    "dual, one channel": ((2, 1, 5, 5), (2, 1, 3, 3)),
    "primal": ((3, 48, 16, 16), (3, 48, 16, 16)),
    "primal, ragged": ((2, 70, 20, 15), (2, 70, 13, 21)),
    "primal, one reference of another size": ((3, 5, 7, 19), (1, 5, 4, 4)),
    "primal, large": ((2, 160, 32, 32), (2, 160, 32, 32)),
    "gram": ((3, 37, 4, 3), None),
    "gram of many channels": ((2, 640, 8, 8), None),
}
# name: type of the features, whether TF32 may stand for float32, relative rounding of a product, of a gradient.
# 2⁻²⁰ is what tensor cores lose that cut off what they add, 32 products in 24 turns (tests/cpp/gram_loss_cases.cpp). Of
# what is allowed here, four times that, their emulation reaches 0.6 in values and 0.2 in gradients.
PRECISIONS: dict[str, tuple[torch.dtype, bool, float, float]] = {
    "tf32": (torch.float32, True, 2**-10, 2**-9),
    "fp32": (torch.float32, False, 2**-20, 2**-20),
    "bf16": (torch.bfloat16, True, 2**-20, 2**-6),
    "fp16": (torch.float16, True, 2**-20, 2**-9),
    "fp64": (torch.float64, True, 2**-46, 2**-46),
}


def randn(shape: Sequence[int], dtype: torch.dtype, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).cuda()


def sample_inputs(case: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, bool]:
    """(features, target, whether the target is a Gram matrix, then not a symmetric one)."""
    shape, reference_shape = CASES[case]
    if reference_shape is None:
        return randn(shape, dtype, 1), randn((shape[0], shape[1], shape[1]), dtype, 2), True
    return randn(shape, dtype, 1), randn(reference_shape, dtype, 2) * 1.5, False


def with_gradient(loss: Callable[[Tensor], Tensor], features: Tensor) -> tuple[Tensor, Tensor]:
    leaf = features.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    value = loss(leaf)
    weight = torch.linspace(0.5, 2.0, len(value), dtype=value.dtype, device=value.device)
    return value.detach(), torch.autograd.grad(value, leaf, weight)[0]


def sizes_of_terms(features: Tensor, target: Tensor, is_gram: bool, normalize: str) -> tuple[float, float]:
    """How large the terms of the loss and of its gradient are before they cancel: what roundings scale with."""
    flat, positions = features.double().flatten(2), features[0, 0].numel()
    own, other = gram(features.double()), target.double() if is_gram else gram(target.double())
    norm = other.square().sum((1, 2))
    scale = {
        "none": torch.full_like(norm, positions**2),
        "gatys": torch.full_like(norm, 1 / (4 * flat.shape[1] ** 2)),
    }.get(normalize, 1 / norm)
    value = scale * (own.square().sum((1, 2)) + norm)
    terms = (own.abs() @ flat.abs()).amax((1, 2)) + (other.abs() @ flat.abs()).amax((1, 2))
    return float(value.max()), float((2 * scale * 4 / positions * terms).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("normalize", get_args(GramScale))
def test_value_and_gradient(case: str, precision: str, normalize: GramScale) -> None:
    dtype, allow_tf32, product, slope = PRECISIONS[precision]
    features, target, is_gram = sample_inputs(case, dtype)
    given = {"gram" if is_gram else "reference": target}

    def ours(leaf: Tensor) -> Tensor:
        return gram_loss(leaf, **given, normalize=normalize, allow_tf32=allow_tf32)

    def exact(leaf: Tensor) -> Tensor:
        return reference_loss([leaf], [target.double()], [is_gram], normalize)

    loss, gradient = with_gradient(ours, features)
    wanted, wanted_gradient = with_gradient(exact, features.double())
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert gradient.dtype == dtype and bool((loss >= 0).all())
    loss_size, gradient_size = sizes_of_terms(features, target, is_gram, normalize)
    assert largest(loss.double() - wanted) <= 4 * product * loss_size
    gradient_error = largest(gradient.double() - wanted_gradient)
    tiniest = 4 * torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    assert gradient_error <= 4 * slope * gradient_size + tiniest
    relative = gradient_error / largest(wanted_gradient)
    assert relative <= max(0.05, 16 * slope) or gradient_error <= tiniest, "another gradient than that of the loss"


def largest(values: Tensor) -> float:
    return float(values.abs().max())


def test_fp32_is_nearer_than_tf32() -> None:
    features, target, _ = sample_inputs("the paper's", torch.float32)
    wanted = reference_loss([features.double()], [target.double()], [False], "relative")
    tf32, fp32 = (gram_loss(features, target, normalize="relative", allow_tf32=allow) for allow in (True, False))
    assert largest(fp32 - wanted) < 1e-5 * largest(wanted)
    assert 0 < largest(tf32 - wanted) < 1e-2 * largest(wanted) and largest(fp32 - wanted) < largest(tf32 - wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_layers_in_one_call_add_up(dtype: torch.dtype) -> None:
    names = ("dual, ragged", "primal", "primal, one reference of another size", "gram")
    parts = [sample_inputs(name, dtype) for name in names]
    layers = [features.requires_grad_() for features, _, _ in parts]
    references = [None if is_gram else target for _, target, is_gram in parts]
    grams = [target if is_gram else None for _, target, is_gram in parts]
    total = gram_loss(layers, references, grams)
    gradients = torch.autograd.grad(total.sum(), layers)
    each = [gram_loss(f, r, a) for f, r, a in zip(layers, references, grams, strict=True)]
    torch.testing.assert_close(total, torch.stack(each).sum(0), rtol=1e-6, atol=1e-6)
    for layer, part, gradient in zip(layers, each, gradients, strict=True):
        assert torch.equal(gradient, torch.autograd.grad(part.sum(), layer)[0])


@pytest.mark.parametrize("case", ["the paper's", "dual, ragged", "primal", "primal, ragged"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_layouts_give_the_same(case: str, dtype: torch.dtype) -> None:
    features, target, _ = sample_inputs(case, dtype)
    wanted, wanted_gradient = with_gradient(lambda leaf: gram_loss(leaf, target), features)
    tolerance = 2 * torch.finfo(dtype).eps * largest(wanted_gradient) + 2**-10 * largest(wanted_gradient)
    layouts: list[Callable[[Tensor], Tensor]] = [
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
        lambda t: torch.cat((t, t), 3)[..., : t.shape[3]],
        lambda t: torch.cat((t.flatten()[:1], t.flatten()))[1:].view(t.shape),  # not where 16 bytes begin
    ]
    for layout in layouts:
        loss, gradient = with_gradient(lambda leaf, layout=layout: gram_loss(leaf, layout(target)), layout(features))
        torch.testing.assert_close(loss, wanted, rtol=1e-3, atol=1e-5)
        assert largest(gradient.double() - wanted_gradient.double()) <= tolerance


@pytest.mark.parametrize("case", ["the paper's", "primal, ragged", "gram"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_again(case: str, dtype: torch.dtype) -> None:
    features, target, is_gram = sample_inputs(case, dtype)
    given = {"gram" if is_gram else "reference": target}
    first, again = (with_gradient(lambda leaf: gram_loss(leaf, **given), features) for _ in range(2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


@pytest.mark.parametrize("case", ["the paper's", "dual, one position", "primal", "primal, large"])
def test_a_chain_does_not_see_its_batch(case: str) -> None:
    features, target, _ = sample_inputs(case, torch.float32)
    loss, gradient = with_gradient(lambda leaf: gram_loss(leaf, target), features)
    alone, alone_gradient = with_gradient(lambda leaf: gram_loss(leaf, target[-1:]), features[-1:])
    assert torch.equal(alone, loss[-1:])
    torch.testing.assert_close(alone_gradient / 0.5, gradient[-1:] / 2.0, rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", ["dual, ragged", "primal", "gram"])
def test_a_blank_target_and_an_empty_batch(case: str) -> None:
    features, target, is_gram = sample_inputs(case, torch.float32)
    name = "gram" if is_gram else "reference"
    for blank in (features, torch.zeros_like(features)):
        loss, gradient = with_gradient(lambda leaf: gram_loss(leaf, **{name: torch.zeros_like(target)}), blank)
        assert bool(loss.isfinite().all()) and bool(gradient.isfinite().all())
    assert bool((loss == 0).all()) and bool((gradient == 0).all())
    loss, gradient = with_gradient(lambda leaf: gram_loss(leaf, **{name: target[:0]}), features[:0])
    assert loss.shape == (0,) and gradient.shape == features[:0].shape


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 7, 70)], ids=["dual", "primal"])
@pytest.mark.parametrize("given", ["reference", "gram"])
def test_gradcheck(shape: tuple[int, ...], given: str) -> None:
    features = randn(shape, torch.float64, 1).requires_grad_()
    target = randn((2, shape[1], shape[1] if given == "gram" else shape[2]), torch.float64, 2)
    assert torch.autograd.gradcheck(lambda leaf: gram_loss(leaf, **{given: target}), features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_gram_is_that_of_the_cpu(dtype: torch.dtype) -> None:
    features = randn((3, 20, 6, 5), dtype, 1)
    expected = gram(features.cpu().double())
    assert largest(gram(features).cpu().double() - expected) <= 4 * torch.finfo(dtype).eps * largest(expected)


def test_errors_name_the_device() -> None:
    features = torch.zeros(2, 3, 4, 4, device="cuda")
    with pytest.raises(
        TypeError, match=r"reference\[0\] must be torch.float32 on cuda:\d like the features, .* on cpu"
    ):
        gram_loss(features, features.cpu())
