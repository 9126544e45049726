# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The GRMALA transition against plain PyTorch: values, gradients, in place, ragged, empty, and wrong arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.ops import grmala_step, grmala_step_, noise
from stic_fast.ops.grmala_step import reference

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((3, 3, 8, 8), (2, 1), (4, 63), (3, 65), (2, 4097), (5,), (1, 10007))


def sample_inputs(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float32, *, with_gram: bool = True, per_chain: bool = False
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(sum(shape))
    x, grad_logp, grad_gram = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(3))
    eps: dict[str, Any] = {"eps1": 0.37, "eps2": 0.95, "eps3": 0.11}
    if per_chain:
        eps = {name: torch.linspace(size, 2 * size, shape[0], dtype=torch.float64) for name, size in eps.items()}
    gram = grad_gram if with_gram else None
    return {"x": x / 2, "grad_logp": grad_logp, "grad_gram": gram, **eps, "seed": 2**63 + 9, "step": 4}


def plain(inputs: dict[str, Any], compute: torch.dtype, clamp: tuple[float, float] | None = (-1.0, 1.0)) -> Tensor:
    """The update as a user of PyTorch would write it, in the precision `compute`."""
    x, grad_logp, grad_gram = (
        None if inputs[name] is None else inputs[name].to(compute) for name in ("x", "grad_logp", "grad_gram")
    )
    eps1, eps2, eps3 = (
        torch.as_tensor(inputs[name], dtype=torch.float64).to(compute).view(-1, *[1] * (x.dim() - 1))
        for name in ("eps1", "eps2", "eps3")
    )
    z = noise.normal(x.shape, seed=inputs["seed"], step=inputs["step"], chain_ids=inputs.get("chain_ids"))
    x = x + eps1 * grad_logp + eps3 * z.to(compute)
    if grad_gram is not None:
        x = x - eps2 * grad_gram
    return x if clamp is None else x.clamp(*clamp)


def op_arguments(inputs: dict[str, Any], *, eps: Tensor | None = None) -> tuple[Any, ...]:
    sizes = (0.0, 0.0, 0.0) if eps is not None else (inputs["eps1"], inputs["eps2"], inputs["eps3"])
    tensors = (inputs["x"], inputs["grad_logp"], inputs["grad_gram"], torch.arange(len(inputs["x"])), None, eps)
    return *tensors, *sizes, -1.0, 1.0, 9, 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_gram", [False, True])
@pytest.mark.parametrize("per_chain", [False, True])
@pytest.mark.parametrize("clamp", [(-1.0, 1.0), None])
def test_value(
    assert_as_exact: Callable[..., None],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    with_gram: bool,
    per_chain: bool,
    clamp: tuple[float, float] | None,
) -> None:
    inputs = sample_inputs(shape, dtype, with_gram=with_gram, per_chain=per_chain)
    out = grmala_step(**inputs, clamp=clamp)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    assert out.is_contiguous() and out.dtype == dtype
    assert_as_exact(out, plain(inputs, compute, clamp).to(dtype), plain(inputs, torch.float64, clamp))


@pytest.mark.parametrize("dtype", DTYPES)
def test_reference_agrees(dtype: torch.dtype) -> None:
    inputs = sample_inputs((3, 4097), dtype)
    arguments = op_arguments(inputs)
    native = torch.ops.stic_fast.grmala_step(*arguments)
    # The reference's normals differ by up to six ulps of fp32, at most 6.67 in size; then one rounding to the dtype.
    tolerance = inputs["eps3"] * 6 * 2**-22 + 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(native, reference(*arguments), rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adds_exactly_eps3_times_the_noise(dtype: torch.dtype) -> None:
    zero, ids = torch.zeros(3, 4099, dtype=dtype), torch.tensor([9, 2**31, 4])
    out = grmala_step(zero, zero, eps1=0.5, eps3=0.7, seed=3, step=6, chain_ids=ids, clamp=None)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    assert torch.equal(out, (0.7 * noise.normal((3, 4099), seed=3, step=6, chain_ids=ids, dtype=compute)).to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_every_16_bit_pattern_is_read_and_rounded_as_torch_does(dtype: torch.dtype) -> None:
    x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)[None]
    for eps1 in (0.0, 2.0**-11, 0.375, 1.0):  # with grad_logp ±1, ±2, ±4 … every product is exact: one rounding
        grad = torch.tensor([1.0, -2.0, 4.0, -(2.0**-9)], dtype=dtype).repeat(2**14)[None]
        out = grmala_step(x, grad, eps1=eps1, eps3=0.0, seed=0, step=0, clamp=None)
        torch.testing.assert_close(out, (x.float() + eps1 * grad.float()).to(dtype), rtol=0, atol=0, equal_nan=True)


def test_descends_the_gram_gradient_and_climbs_log_p() -> None:
    zero, one = torch.zeros(1, 4), torch.ones(1, 4)
    out = grmala_step(zero, one, 2 * one, eps1=0.5, eps2=0.125, eps3=0.0, seed=0, step=0)
    assert torch.equal(out, torch.full((1, 4), 0.25))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "channels_last", "slice"])
def test_in_place_equals_out_of_place(dtype: torch.dtype, layout: str) -> None:
    inputs = sample_inputs((3, 2, 8, 6), dtype)
    wanted = grmala_step(**inputs)
    buffer = torch.full((3, 2, 8, 13), 7.0, dtype=dtype)
    x = {
        "contiguous": inputs["x"].clone(),
        "transposed": inputs["x"].transpose(1, 3).contiguous().transpose(1, 3),
        "channels_last": inputs["x"].contiguous(memory_format=torch.channels_last),
        "slice": buffer[..., 1::2].copy_(inputs["x"]),
    }[layout]
    assert x.is_contiguous() == (layout == "contiguous")
    gradients = {
        name: inputs[name].contiguous(memory_format=torch.channels_last) for name in ("grad_logp", "grad_gram")
    }
    assert torch.equal(grmala_step(**{**inputs, **gradients, "x": x}), wanted)
    assert grmala_step_(**{**inputs, **gradients, "x": x}) is x
    assert torch.equal(x, wanted)
    assert bool((buffer[..., ::2] == 7).all())


def test_in_place_may_share_the_gradient() -> None:
    x = torch.linspace(-0.5, 0.5, 130).view(2, 65)
    wanted = grmala_step(x, x, eps1=0.25, eps3=0.1, seed=0, step=0)
    assert torch.equal(grmala_step_(x, x, eps1=0.25, eps3=0.1, seed=0, step=0), wanted)


def test_in_place_is_seen_by_autograd() -> None:
    weight, x = torch.ones(1, 3, requires_grad=True), torch.zeros(1, 3)
    product = (weight * x).sum()
    grmala_step_(x, torch.ones(1, 3), eps1=0.1, eps3=0.1, seed=0, step=0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()


def test_in_place_refuses_what_requires_grad() -> None:
    x = torch.zeros(1, 3, requires_grad=True)
    with pytest.raises(ValueError, match=r"^grmala_step_ .*gradient"):
        grmala_step_(x, torch.ones(1, 3), eps1=0.1, eps3=0.1, seed=0, step=0)
    with torch.no_grad():
        grmala_step_(x, torch.ones(1, 3), eps1=0.1, eps3=0.0, seed=0, step=0)
    assert torch.equal(x.detach(), torch.full((1, 3), 0.1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_where_it_is(dtype: torch.dtype) -> None:
    inputs = sample_inputs((3, 5, 13), dtype)
    clean = grmala_step(**inputs)
    places = {"x": (0, 1, 2), "grad_logp": (1, 0, 12), "grad_gram": (2, 4, 0)}
    for name, place in places.items():
        inputs[name][place] = float("nan")
    out = grmala_step(**inputs)
    expected = torch.zeros(3, 5, 13, dtype=torch.bool)
    for place in places.values():
        expected[place] = True
    assert torch.equal(out.isnan(), expected)
    assert torch.equal(out[~expected], clean[~expected])


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinity_is_clamped(dtype: torch.dtype) -> None:
    x = torch.tensor([[float("inf"), float("-inf")]], dtype=dtype)
    zero = torch.zeros_like(x)
    assert grmala_step(x, zero, eps1=1, eps3=0.1, seed=0, step=0, clamp=(-0.5, 2)).tolist() == [[2.0, -0.5]]
    assert torch.equal(grmala_step(x, zero, eps1=1, eps3=0.1, seed=0, step=0, clamp=None), x)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (3, 0), (0,), (2, 0, 5)])
@pytest.mark.parametrize("per_chain", [False, True])
def test_empty(shape: tuple[int, ...], per_chain: bool) -> None:
    inputs = sample_inputs(shape, per_chain=per_chain)
    inputs["x"].requires_grad_()
    out = grmala_step(**inputs)
    out.sum().backward()
    assert out.shape == inputs["x"].grad.shape == shape
    with torch.no_grad():
        assert grmala_step_(**inputs).shape == shape


def test_a_chain_does_not_see_its_batch(with_threads: Callable[..., list[Tensor]]) -> None:
    inputs = sample_inputs((5, 3, 61, 71), per_chain=True)
    inputs["chain_ids"] = torch.tensor([7, 0, 2**32 - 1, 3, 12])
    one, two, three = with_threads(lambda: grmala_step(**inputs))
    assert torch.equal(one, two) and torch.equal(one, three)
    for row in range(5):
        alone = {name: v[row : row + 1] if isinstance(v, Tensor) else v for name, v in inputs.items()}
        assert torch.equal(grmala_step(**alone), one[row : row + 1])


def test_step_sizes_may_be_tensors_and_steps_too() -> None:
    inputs = sample_inputs((3, 65))
    wanted = grmala_step(**inputs)
    scalars = {name: torch.tensor(inputs[name], dtype=torch.float64) for name in ("eps1", "eps2", "eps3")}
    assert torch.equal(grmala_step(**{**inputs, **scalars}), wanted)
    one_per_chain = {**inputs, "eps2": torch.full((3,), inputs["eps2"], dtype=torch.float64)}
    assert torch.equal(grmala_step(**one_per_chain), wanted)
    assert torch.equal(grmala_step(**{**inputs, "step": torch.tensor([inputs["step"]])}), wanted)
    assert not torch.equal(grmala_step(**{**inputs, "step": inputs["step"] + 1}), wanted)


@pytest.mark.parametrize("per_chain", [False, True])
@pytest.mark.parametrize("with_gram", [False, True])
@pytest.mark.parametrize("clamp", [(-1.0, 1.0), None])
def test_gradcheck(per_chain: bool, with_gram: bool, clamp: tuple[float, float] | None) -> None:
    inputs = sample_inputs((3, 2, 4), torch.float64, per_chain=per_chain, with_gram=with_gram)
    unclamped = grmala_step(**inputs, clamp=None)
    assert float((unclamped.abs() - 1).abs().min()) > 1e-3 and bool((unclamped.abs() > 1).any())
    names = ["x", "grad_logp", *(["grad_gram"] if with_gram else [])]

    def of_tensors(*tensors: Tensor) -> Tensor:
        return grmala_step(**{**inputs, **dict(zip(names, tensors, strict=True))}, clamp=clamp)

    leaves = [inputs[name].requires_grad_() for name in names]
    assert torch.autograd.gradcheck(of_tensors, leaves)
    assert torch.autograd.gradgradcheck(of_tensors, leaves)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("per_chain", [False, True])
def test_gradient(assert_as_exact: Callable[..., None], dtype: torch.dtype, per_chain: bool) -> None:
    inputs = sample_inputs((4, 200), dtype, per_chain=per_chain)
    names = ("x", "grad_logp", "grad_gram")
    weight = torch.randn(4, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(dtype)

    def gradients(compute: torch.dtype, step: Callable[[dict[str, Any]], Tensor]) -> tuple[Tensor, ...]:
        leaves = [inputs[name].detach().to(compute).requires_grad_() for name in names]
        out = step({**inputs, **dict(zip(names, leaves, strict=True))})
        return torch.autograd.grad(out, leaves, weight.to(out.dtype))

    # One mask for all three: where the bounds are exact in 64 bits, values at a bound in 16 bits are not compared.
    native = gradients(dtype, lambda values: grmala_step(**values, clamp=None))
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    in_precision = gradients(dtype, lambda values: plain(values, compute, None).to(dtype))
    exact = gradients(torch.float64, lambda values: plain(values, torch.float64, None))
    for triple in zip(native, in_precision, exact, strict=True):
        assert_as_exact(*triple)


def test_no_gradient_where_clamped() -> None:
    x = torch.tensor([[-3.0, 0.0, 3.0, float("nan")]], requires_grad=True)
    grmala_step(x, torch.zeros(1, 4), eps1=1, eps3=0.0, seed=0, step=0).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0.0, 1.0, 0.0, 0.0]]


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("per_chain", [False, True])
def test_opcheck(requires_grad: bool, per_chain: bool) -> None:
    inputs = sample_inputs((3, 2, 5))
    inputs["x"].requires_grad_(requires_grad)
    eps = torch.rand(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) if per_chain else None
    torch.library.opcheck(torch.ops.stic_fast.grmala_step.default, op_arguments(inputs, eps=eps))


def test_opcheck_in_place() -> None:
    torch.library.opcheck(torch.ops.stic_fast.grmala_step_.default, op_arguments(sample_inputs((3, 2, 5))))


@pytest.mark.parametrize("step", [grmala_step, grmala_step_])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("x", [0.0], TypeError),
        ("x", torch.zeros(2, 3, dtype=torch.int64), TypeError),
        ("x", torch.tensor(0.0), ValueError),
        ("grad_logp", torch.zeros(2, 4), ValueError),
        ("grad_logp", torch.zeros(2, 3).half(), TypeError),
        ("grad_gram", torch.zeros(3, 2), ValueError),
        ("grad_gram", torch.zeros(2, 3, device="meta"), ValueError),
        ("eps1", torch.zeros(3), ValueError),
        ("eps3", torch.zeros(2, dtype=torch.int64), TypeError),
        ("eps2", "0.1", TypeError),
        ("eps1", torch.tensor(0.1, requires_grad=True), ValueError),
        ("eps3", torch.ones(2, requires_grad=True), ValueError),
        ("seed", 2**64, ValueError),
        ("step", -1, ValueError),
        ("chain_ids", torch.arange(3), ValueError),
        ("clamp", (1, -1), ValueError),
        ("clamp", (0, float("nan")), ValueError),
        ("clamp", 1.0, TypeError),
    ],
)
def test_errors_name_the_argument(step: Callable[..., Tensor], name: str, value: Any, error: type[Exception]) -> None:
    arguments: dict[str, Any] = {"x": torch.zeros(2, 3), "grad_logp": torch.ones(2, 3)}
    arguments |= {"eps1": 0.1, "eps3": 0.1, "seed": 0, "step": 0}
    with pytest.raises(error, match=rf"^{name}\b"):
        step(**arguments | {name: value})
