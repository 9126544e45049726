# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The GRMALA transition, fused: gradient step, Gram regulariser, Langevin noise and clamp in one pass."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from stic_fast.ops.batching import joined_chains
from stic_fast.ops.checks import (
    check_chain_ids,
    check_chains,
    check_like,
    check_noise_address,
    check_numbers,
    check_overwritable,
    check_pair,
    check_range,
    check_seed,
    check_step,
    check_step_sizes,
    check_tensor,
)
from stic_fast.ops.differentiation import in_forward_mode
from stic_fast.ops.library import DTYPE_CODES, fresh, register, run
from stic_fast.ops.noise import Stream, reference_normal

_ARGUMENTS = (
    "Tensor grad_logp, Tensor? grad_gram, Tensor? chain_ids, Tensor? step_tensor, Tensor? eps, "
    "float eps1, float eps2, float eps3, float low, float high, int seed, SymInt step"
)


def grmala_step(
    x: Tensor,
    grad_logp: Tensor,
    grad_gram: Tensor | None = None,
    *,
    eps1: float | Tensor,
    eps2: float | Tensor = 0.0,
    eps3: float | Tensor,
    seed: int,
    step: int | Tensor,
    chain_ids: Tensor | None = None,
    clamp: tuple[float, float] | None = (-1.0, 1.0),
) -> Tensor:
    r"""One transition of the Gram-regularised Metropolis-adjusted Langevin algorithm (STIC, equation 3).

    .. math:: x' = \mathrm{clamp}(x + ε_1 ∇_x \log p(y|x) - ε_2 ∇_x \sum_L \|G^L - A^L\|^2 + ε_3 N(0, 1))

    The paper's equation adds the Gram *scalar*; what brings the chain nearer to the reference's Gram matrices is
    descent along its gradient, hence the minus. With eps2 = 0 and eps3 = √(2·eps1) this is plain Langevin dynamics.

    Args:
        x: (chains, *sample), float32, float64, bfloat16 or float16; computed in fp32 (fp64 for float64).
        grad_logp: like x, the gradient of log p(y|x).
        grad_gram: like x, the gradient of the Gram loss; None leaves the term out.
        eps1, eps2, eps3: step sizes, each a float or one value per chain, (chains,).
        seed, step, chain_ids: address of the noise, see `stic_fast.noise.normal`; adds exactly eps3 times
            `noise.normal(x.shape, seed=seed, step=step, chain_ids=chain_ids)`.
        clamp: (low, high), or None. NaN passes through, as in torch.clamp.

    Returns:
        The new state, contiguous, like x. Differentiable in x, grad_logp and grad_gram, to any order.

    Raises:
        TypeError, ValueError: shapes, dtypes or devices that differ, a seed or step out of range.

    >>> from stic_fast import grmala_step
    >>> x, uphill = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    >>> grmala_step(x, uphill, eps1=0.5, eps3=0.0, seed=0, step=0).mean().item()
    0.5
    """
    return torch.ops.stic_fast.grmala_step.default(
        *_checked(x, grad_logp, grad_gram, eps1, eps2, eps3, seed, step, chain_ids, clamp)
    )


def grmala_step_(
    x: Tensor,
    grad_logp: Tensor,
    grad_gram: Tensor | None = None,
    *,
    eps1: float | Tensor,
    eps2: float | Tensor = 0.0,
    eps3: float | Tensor,
    seed: int,
    step: int | Tensor,
    chain_ids: Tensor | None = None,
    clamp: tuple[float, float] | None = (-1.0, 1.0),
) -> Tensor:
    """`grmala_step` that overwrites x and returns it; not differentiable.

    As in torch's own in-place operations, x may be one of the gradients, but must not overlap one in part.

    >>> from stic_fast import grmala_step_
    >>> x = torch.zeros(1, 3)
    >>> grmala_step_(x, torch.ones(1, 3), eps1=0.25, eps3=0.0, seed=0, step=0) is x
    True
    """
    arguments = _checked(x, grad_logp, grad_gram, eps1, eps2, eps3, seed, step, chain_ids, clamp)
    if torch.is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in arguments):
        raise ValueError("grmala_step_ overwrites x and has no gradient; use grmala_step or torch.no_grad()")
    if in_forward_mode():
        return x.copy_(torch.ops.stic_fast.grmala_step.default(*arguments))
    torch.ops.stic_fast.grmala_step_.default(*arguments)
    return x


def _checked(
    x: object,
    grad_logp: object,
    grad_gram: object,
    eps1: object,
    eps2: object,
    eps3: object,
    seed: object,
    step: object,
    chain_ids: object,
    clamp: object,
) -> tuple[object, ...]:
    """The op's positional arguments, as far as its schema does not check them."""
    x, grad_logp = check_tensor("x", x), check_tensor("grad_logp", grad_logp)
    if grad_gram is not None:
        check_tensor("grad_gram", grad_gram)
    sizes, eps = check_step_sizes({"eps1": eps1, "eps2": eps2, "eps3": eps3}, x)
    ids = check_chain_ids(chain_ids)
    number, step_tensor = check_step(step)
    bounds = check_pair("clamp", clamp)
    return x, grad_logp, grad_gram, ids, step_tensor, eps, *sizes, *bounds, check_seed(seed), number


def _check(
    x: Tensor,
    grad_logp: Tensor,
    grad_gram: Tensor | None,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    eps: Tensor | None,
    eps1: float,
    eps2: float,
    eps3: float,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> None:
    kind = shape, _, device = check_chains("x", x)
    check_like("grad_logp", grad_logp, "x", kind)
    if grad_gram is not None:
        check_like("grad_gram", grad_gram, "x", kind)
    if eps is not None:
        each = "eps1, eps2 and eps3 of each chain"
        check_numbers("eps", eps, each, (torch.Size((3, shape[0])), torch.float64, device))
    check_noise_address(chain_ids, step_tensor, step, shape[0], device)
    check_range("clamp", low, high)


def reference(
    x: Tensor,
    grad_logp: Tensor,
    grad_gram: Tensor | None,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    eps: Tensor | None,
    eps1: float,
    eps2: float,
    eps3: float,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> Tensor:
    """The transition in plain PyTorch."""
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    if eps is None:
        eps = torch.tensor([[eps1], [eps2], [eps3]], device=x.device, dtype=torch.float64)
    size1, size2, size3 = eps.to(compute).reshape(3, -1, *[1] * (x.dim() - 1))
    if chain_ids is None:
        chain_ids = torch.arange(x.shape[0], device=x.device)
    noise = reference_normal(chain_ids, step_tensor, x.shape[1:], seed, step, Stream.LANGEVIN, compute)
    value = x.to(compute) + size1 * grad_logp.to(compute)
    if grad_gram is not None:
        value = value - size2 * grad_gram.to(compute)
    low, high = (
        bound if abs(bound) <= torch.finfo(compute).max else math.copysign(math.inf, bound) for bound in (low, high)
    )
    return (value + size3 * noise).clamp(low, high).to(x.dtype)


def _native_into(
    out: Tensor,
    x: Tensor,
    grad_logp: Tensor,
    grad_gram: Tensor | None,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    eps: Tensor | None,
    eps1: float,
    eps2: float,
    eps3: float,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> None:
    chains = x.shape[0]
    run(
        "grmala_step",
        x.device,
        (out,),
        (x, grad_logp, grad_gram, eps, chain_ids, step_tensor),
        DTYPE_CODES[x.dtype],
        chains,
        x.numel() // max(chains, 1),
        eps1,
        eps2,
        eps3,
        low,
        high,
        seed,
        step,
    )


def _native(x: Tensor, *arguments: object) -> Tensor:
    out = fresh(torch.empty_like(x, memory_format=torch.contiguous_format))
    _native_into(out, x, *arguments)  # type: ignore[arg-type]
    return out


def _native_(
    x: Tensor, grad_logp: Tensor, grad_gram: Tensor | None, chain_ids: Tensor | None, *arguments: Tensor | None
) -> None:
    torch.autograd.graph.increment_version(x)  # a backward pass that saved its old value then refuses to run
    if x.is_contiguous():
        step_tensor, eps, *_ = arguments
        check_overwritable("x", x, (grad_logp, grad_gram), (chain_ids, step_tensor, eps))
        _native_into(x, x, grad_logp, grad_gram, chain_ids, *arguments)  # type: ignore[arg-type]
    else:
        x.copy_(_native(x, grad_logp, grad_gram, chain_ids, *arguments))


def _reference_(x: Tensor, *arguments: object) -> None:
    x.copy_(reference(x, *arguments))  # type: ignore[arg-type]


def _fake(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _setup_context(ctx, inputs, output) -> None:
    _, _, grad_gram, _, _, eps, ctx.eps1, ctx.eps2, _, ctx.low, ctx.high, _, _ = inputs
    if eps is not None and eps.requires_grad:  # within vmap a size does not show that it requires grad
        raise ValueError("eps1, eps2 and eps3 must not require grad, step sizes are constants; pass them detached")
    ctx.has_gram = grad_gram is not None
    ctx.save_for_backward(output, eps)


def _backward(ctx, grad):
    output, eps = ctx.saved_tensors
    size1, size2 = ctx.eps1, ctx.eps2
    if eps is not None:
        compute = torch.float64 if grad.dtype == torch.float64 else torch.float32
        size1, size2, _ = eps.to(compute).reshape(3, -1, *[1] * (grad.dim() - 1))
    grad = torch.where((output > ctx.low) & (output < ctx.high), grad, 0)
    grad_gram = (-size2 * grad).to(grad.dtype) if ctx.has_gram else None
    return grad, (size1 * grad).to(grad.dtype), grad_gram, *[None] * 10


_joined_chains = functools.partial(joined_chains, axes={"eps": 1})


def _in_place(op, check):
    def rule(info, dims, x, *arguments):
        if dims[0] is None:
            raise ValueError(
                "grmala_step_ overwrites x, over which vmap must go where it goes over another argument; "
                "use grmala_step"
            )
        moved, _ = _joined_chains(torch.ops.stic_fast.grmala_step.default, check)(info, dims, x, *arguments)
        x.movedim(dims[0], 0).copy_(moved)
        return None, None

    return rule


register(
    "grmala_step",
    f"Tensor x, {_ARGUMENTS}",
    "Tensor",
    check=_check,
    cpu=_native,
    cuda=_native,
    reference=reference,
    fake=_fake,
    vmap=_joined_chains,
    derivative=(_backward, _setup_context),
)
register(
    "grmala_step_",
    f"Tensor(a!) x, {_ARGUMENTS}",
    "()",
    check=_check,
    cpu=_native_,
    cuda=_native_,
    reference=_reference_,
    fake=lambda *_: None,
    vmap=_in_place,
)
