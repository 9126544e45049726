# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""torch.func over the ops: grad, vmap, jvp and what is made of them give what autograd and loops give."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from stic_fast import gram, gram_loss, grmala_step, grmala_step_, metropolis_accept, noise, scaled_silu, vrm_batch

# What PyTorch itself loads for forward mode calls what it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")

DOUBLE = torch.float64
ADDRESS: dict[str, Any] = {"seed": 3, "step": 5}


def randn(*shape: int, seed: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def step(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return grmala_step(x, up, down, eps1=0.3, eps2=0.2, eps3=0.1, clamp=(-2, 2), **ADDRESS)


def accepted(x: Tensor, proposal: Tensor, logp: Tensor) -> Tensor:
    return metropolis_accept(x, proposal, logp, logp, x, proposal, eps1=0.1, eps3=0.9, **ADDRESS).x


DIFFERENTIABLE: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "gram": (gram, (randn(2, 3, 4, seed=0),)),
    "gram_loss, dual": (gram_loss, (randn(2, 5, 3, seed=0), randn(2, 5, 2, seed=1))),
    "gram_loss, primal": (gram_loss, (randn(2, 3, 40, seed=0), randn(2, 3, 30, seed=1))),
    "gram_loss, one reference": (gram_loss, (randn(2, 3, 40, seed=0), randn(1, 3, 4, seed=1))),
    "gram_loss, a matrix": (lambda f, a: gram_loss(f, gram=a), (randn(2, 3, 4, seed=0), randn(2, 3, 3, seed=1))),
    "gram_loss, layers": (
        lambda f, r: gram_loss([f, f[:, :2] ** 2], [r, r[:, 1:]], normalize="relative"),
        (randn(2, 3, 4, seed=0), randn(2, 3, 4, seed=1)),
    ),
    "grmala_step": (step, tuple(randn(2, 1, 3, seed=seed) for seed in range(3))),
    "metropolis_accept": (accepted, (randn(4, 3, seed=0), randn(4, 3, seed=1), randn(4, seed=2))),
    "scaled_silu": (lambda x: scaled_silu(x, 0.7), (randn(2, 3, 4, seed=0),)),
    "scaled_silu, scales": (scaled_silu, (randn(2, 3, 4, seed=0), randn(2, 3, seed=1))),
}
"""A function of tensors, the first of which it is differentiated in, and such tensors."""
MORE_THAN_ONCE = [name for name in DIFFERENTIABLE if not name.startswith("gram_loss")]


def other(name: str) -> tuple[Callable[..., Any], tuple[Tensor, ...]]:
    """The ops that nothing is differentiated through."""
    ids, images = torch.tensor([[4, 9], [2, 4]]), torch.arange(2 * 48, dtype=torch.uint8).reshape(2, 2, 3, 4, 2)
    return {
        "normal": (lambda ids: noise.normal((2, 3), chain_ids=ids, **ADDRESS), (ids,)),
        "uniform": (lambda ids: noise.uniform((2, 3), chain_ids=ids, **ADDRESS), (ids,)),
        "of a step": (lambda at: noise.normal((2, 3), seed=1, step=at), (torch.tensor([4, 5]),)),
        "vrm_batch": (
            lambda images, labels: vrm_batch(images, labels, num_classes=3, mixup_alpha=0.4, max_shift=1, **ADDRESS),
            (images, torch.tensor([[0, 1], [2, 0]])),
        ),
        "of chains": (
            lambda x, ids: grmala_step(x, -x, eps1=0.1, eps3=1.0, chain_ids=ids, **ADDRESS),
            (randn(2, 2, 3, seed=0), ids),
        ),
        "of a step's size": (
            lambda x, e: grmala_step(x, -x, eps1=e, eps3=1.0, **ADDRESS),
            (randn(2, 2, 3, seed=0), torch.tensor([0.1, 0.2])),
        ),
        "acceptance": (
            lambda x, y: metropolis_accept(x, y, x[:, 0], y[:, 0], -x, -y, eps1=0.1, eps3=0.9, **ADDRESS),
            (randn(2, 4, 3, seed=0), randn(2, 4, 3, seed=1)),
        ),
    }[name]


def assert_same(got: Any, wanted: Any) -> None:
    torch.testing.assert_close(got, wanted, rtol=1e-7, atol=1e-9)


def loop(function: Callable[..., Any], dims: tuple[int | None, ...], tensors: tuple[Tensor, ...]) -> Any:
    """What vmap must give."""
    slices = [
        function(
            *(tensor if dim is None else tensor.select(dim, index) for tensor, dim in zip(tensors, dims, strict=True))
        )
        for index in range(3)
    ]
    if isinstance(slices[0], Tensor):
        return torch.stack(slices)
    return type(slices[0])(*map(torch.stack, zip(*slices, strict=True)))


def batched(tensors: tuple[Tensor, ...], dims: tuple[int | None, ...]) -> tuple[Tensor, ...]:
    """Three of each tensor that has a dimension of its own, unlike one another."""
    return tuple(
        tensor if dim is None else torch.stack([tensor, tensor.flip(-1) * 0.9, -tensor], dim)
        for tensor, dim in zip(tensors, dims, strict=True)
    )


def gradient(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """∇ of the sum of squares in the first tensor, by autograd."""

    def compute(first: Tensor, *rest: Tensor) -> Tensor:
        leaf = first.detach().clone().requires_grad_()
        return torch.autograd.grad(function(leaf, *rest).square().sum(), leaf)[0]

    return compute


def of_func(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same by torch.func."""
    return grad(lambda *tensors: function(*tensors).square().sum())


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_grad_is_autograds(name: str) -> None:
    function, tensors = DIFFERENTIABLE[name]
    assert_same(of_func(function)(*tensors), gradient(function)(*tensors))
    with torch.no_grad():  # torch.func differentiates within it; what stands outside does not see it
        assert_same(of_func(function)(*tensors), gradient_in_grad_mode(function, tensors))


def gradient_in_grad_mode(function: Callable[..., Tensor], tensors: tuple[Tensor, ...]) -> Tensor:
    with torch.enable_grad():
        return gradient(function)(*tensors)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_vmap_and_vmap_of_grad_are_the_loop(name: str) -> None:
    function, tensors = DIFFERENTIABLE[name]
    for dims in itertools.product((None, 0, 1), repeat=len(tensors)):
        if any(dim is not None for dim in dims):
            several = batched(tensors, dims)
            assert_same(vmap(function, dims)(*several), loop(function, dims, several))
            assert_same(vmap(of_func(function), dims)(*several), loop(gradient(function), dims, several))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_grad_of_vmap_is_the_gradient_of_the_loop(name: str) -> None:
    function, tensors = DIFFERENTIABLE[name]
    dims = (0,) * len(tensors)
    several = batched(tensors, dims)
    got = grad(lambda *given: vmap(function)(*given).square().sum())(*several)
    assert_same(got, loop(gradient(function), dims, several))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_vmap_of_vmap(name: str) -> None:
    function, tensors = DIFFERENTIABLE[name]
    several = batched(batched(tensors, (0,) * len(tensors)), (1,) * len(tensors))
    got = vmap(vmap(function), in_dims=1)(*several)
    for index in range(3):
        assert_same(got[index], loop(function, (0,) * len(tensors), tuple(each[:, index] for each in several)))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_jacobians_by_either_mode(name: str) -> None:
    function, (first, *rest) = DIFFERENTIABLE[name]
    wanted = torch.autograd.functional.jacobian(lambda x: function(x, *rest), first)
    assert float(wanted.abs().max()) > 0.01
    assert_same(jacrev(function)(first, *rest), wanted)
    assert_same(jacfwd(function)(first, *rest), wanted)
    value, along = jvp(lambda x: function(x, *rest), (first,), (torch.ones_like(first),))
    assert_same(value, function(first, *rest))
    assert_same(along, wanted.flatten(-first.dim()).sum(-1))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(first, torch.ones_like(first))
        assert_same(forward_ad.unpack_dual(function(dual, *rest)).tangent, along)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_hessian(name: str) -> None:
    function, (first, *rest) = DIFFERENTIABLE[name]

    def energy(x: Tensor) -> Tensor:
        return function(x, *rest).square().sum()

    curvature = hessian(energy)(first)
    step = 1e-4 * randn(*first.shape, seed=9)
    ends = [gradient(function)(first + sign * step, *rest) for sign in (1, -1)]
    along = (curvature * step).flatten(first.dim()).sum(-1)
    torch.testing.assert_close(along, (ends[0] - ends[1]) / 2, rtol=1e-5, atol=1e-9)
    if name in MORE_THAN_ONCE:
        assert_same(jacrev(jacrev(energy))(first), curvature)
        assert_same(grad(lambda x: (grad(energy)(x) * step).sum())(first), along)


def test_gram_loss_says_what_it_does_not_do() -> None:
    features, target = randn(2, 3, 4, seed=0), randn(2, 3, 4, seed=1)

    def loss(x: Tensor) -> Tensor:
        return gram_loss(x, target).sum()

    with pytest.raises(RuntimeError, match=r"^gram_loss is differentiable once .*torch\.func\.hessian$"):
        grad(lambda x: grad(loss)(x).square().sum())(features)
    _, backward = vjp(loss, features)
    with pytest.raises(RuntimeError, match=r"^gram_loss is differentiable once "):
        jvp(backward, (torch.tensor(1.0, dtype=DOUBLE),), (torch.tensor(1.0, dtype=DOUBLE),))
    for over in (lambda r: gram_loss(features, r).sum(), lambda r: vmap(gram_loss)(features[None], r[None]).sum()):
        with pytest.raises(ValueError, match=r"^reference\[0\] .*constant"):
            grad(over)(target)


@pytest.mark.parametrize(
    "name", ["normal", "uniform", "of a step", "vrm_batch", "of chains", "of a step's size", "acceptance"]
)
def test_vmap_of_what_draws_is_the_loop(name: str) -> None:
    function, tensors = other(name)
    got = vmap(function)(*tensors)
    slices = [function(*(tensor[index] for tensor in tensors)) for index in range(2)]
    if isinstance(got, Tensor):
        got, slices = (got,), [(each,) for each in slices]
    for number, value in enumerate(got):
        assert torch.equal(value, torch.stack([each[number] for each in slices]))


def test_slices_share_their_noise_unless_they_have_ids() -> None:
    x = torch.zeros(3, 2, 5)
    drawn = vmap(lambda x: grmala_step(x, x, eps1=0.0, eps3=1.0, clamp=None, **ADDRESS))(x)
    assert torch.equal(drawn, noise.normal((2, 5), **ADDRESS).expand(3, -1, -1))


def test_in_place() -> None:
    x, up = randn(3, 2, 4, seed=0), randn(3, 2, 4, seed=1)
    wanted = grmala_step(x.flatten(0, 1), up.flatten(0, 1), eps1=0.2, eps3=0.0, **ADDRESS).view_as(x)
    for dim in (0, 1):
        mapped = x.clone().movedim(0, dim)
        vmap(lambda x, up: grmala_step_(x, up, eps1=0.2, eps3=0.0, **ADDRESS), in_dims=(dim, 0))(mapped, up)
        assert torch.equal(mapped.movedim(dim, 0), wanted)
    with pytest.raises(ValueError, match=r"^grmala_step_ overwrites x, over which vmap must go"):
        vmap(lambda up: grmala_step_(x[0], up, eps1=0.2, eps3=0.0, **ADDRESS))(up)
    tangent = jvp(lambda x: grmala_step_(x.clone(), -x, eps1=0.2, eps3=0.0, clamp=None, **ADDRESS), (x,), (up,))[1]
    assert_same(tangent, 0.8 * up)


def test_step_sizes_are_constants() -> None:
    x = randn(2, 3, seed=0)
    for eps in (torch.tensor(0.1), torch.tensor([0.1, 0.2])):
        with pytest.raises(ValueError, match=r"^eps1 must not require grad"):
            grad(lambda e: grmala_step(x, -x, eps1=e, eps3=0.1, **ADDRESS).sum())(eps)
    with pytest.raises(ValueError, match=r"^eps1, eps2 and eps3 must not require grad"):
        grad(lambda e: vmap(lambda e: grmala_step(x, -x, eps1=e, eps3=0.1, **ADDRESS).sum())(e).sum())(torch.rand(3, 2))


def test_messages_tell_of_one_slice() -> None:
    with pytest.raises(ValueError, match=r"^grad_logp must have the shape of x, \(2, 3\), got \(2, 4\)"):
        vmap(lambda x, up: grmala_step(x, up, eps1=0.1, eps3=0.1, **ADDRESS))(
            torch.zeros(5, 2, 3), torch.zeros(5, 2, 4)
        )


def test_half_precision_and_channels_last() -> None:
    x = randn(3, 2, 4, 5, 5, seed=0).to(torch.bfloat16)
    last = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    for function in (gram, lambda f: gram_loss(f, f + 1), scaled_silu):
        assert torch.equal(vmap(function)(last), torch.stack([function(each) for each in last]))


def test_compiled() -> None:
    target = randn(2, 3, 4, seed=1)

    def per_sample(x: Tensor) -> Tensor:
        return vmap(grad(lambda x: gram_loss(scaled_silu(x, 0.5), target).sum() + gram(x).sum()))(x)

    x = randn(3, 2, 3, 4, seed=0)
    torch._dynamo.reset()
    try:
        assert_same(torch.compile(per_sample, backend="aot_eager", fullgraph=True)(x), per_sample(x))
    finally:
        torch._dynamo.reset()
