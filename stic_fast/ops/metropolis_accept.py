# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The Metropolis–Hastings correction that makes a Langevin proposal exact."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from stic_fast.ops.batching import joined_chains
from stic_fast.ops.checks import (
    check_chain_ids,
    check_chains,
    check_float_tensor,
    check_like,
    check_noise_address,
    check_numbers,
    check_pair,
    check_range,
    check_seed,
    check_step,
    check_step_sizes,
    check_tensor,
)
from stic_fast.ops.library import DTYPE_CODES, fresh, register, run
from stic_fast.ops.noise import Stream, words


class Acceptance(NamedTuple):
    """What `metropolis_accept` decides for each chain."""

    x: Tensor
    """The next state: the proposal where accepted, else x."""
    accepted: Tensor
    """bool (chains,)."""
    log_alpha: Tensor
    """log of the acceptance ratio, float64 (chains,); −∞ for a proposal outside the support."""


def metropolis_accept(
    x: Tensor,
    proposal: Tensor,
    logp_x: Tensor,
    logp_proposal: Tensor,
    grad_x: Tensor,
    grad_proposal: Tensor,
    *,
    eps1: float | Tensor,
    eps3: float | Tensor,
    seed: int,
    step: int | Tensor,
    chain_ids: Tensor | None = None,
    support: tuple[float, float] | None = None,
) -> Acceptance:
    r"""Accepts or rejects Langevin proposals, per chain (Roberts and Tweedie 1996; STIC, section 2).

    For a proposal from :math:`q(x'|x) = N(x + ε_1∇\log p(x), ε_3^2 I)`,

    .. math:: \log α = \log p(x') - \log p(x) + \log q(x|x') - \log q(x'|x),

    and the chain moves where log u < log α with u uniform from the Metropolis stream of the noise contract. Any eps1
    and eps3 leave p invariant; eps1 = eps3²/2 is the Langevin diffusion's own ratio. A log α that is NaN rejects.

    Args:
        x, proposal: (chains, *sample), float32, float64, bfloat16 or float16; sums run in float64.
        logp_x, logp_proposal: (chains,), the target's log-density, up to a constant.
        grad_x, grad_proposal: like x, ∇log p at both.
        eps1, eps3: step sizes of the proposal, each a float or one value per chain; eps3 > 0.
        seed, step, chain_ids: address of the uniform, see `stic_fast.noise.normal`.
        support: (low, high): the target is zero outside, proposals that leave are rejected. None: all of space.

    Returns:
        Acceptance(x, accepted, log_alpha). x is differentiable in x and proposal, the choice held constant.

    Raises:
        TypeError, ValueError: shapes, dtypes or devices that differ, eps3 ≤ 0, a seed or step out of range.

    >>> from stic_fast import metropolis_accept
    >>> x, uphill = torch.zeros(2, 3), torch.ones(2, 3)
    >>> logp = torch.zeros(2)
    >>> metropolis_accept(x, x, logp, logp, uphill, uphill, eps1=0.5, eps3=1.0, seed=0, step=0).accepted
    tensor([True, True])
    """
    for name, value in (("x", x), ("proposal", proposal), ("grad_x", grad_x), ("grad_proposal", grad_proposal)):
        check_tensor(name, value)
    (chains, *_), _, device = check_chains("x", x)
    logs = [
        check_float_tensor(name, value).to(torch.float64)
        for name, value in (("logp_x", logp_x), ("logp_proposal", logp_proposal))
    ]
    sizes, eps = check_step_sizes({"eps1": eps1, "eps3": eps3}, x)
    if eps is None:
        if not sizes[1] > 0:
            raise ValueError(f"eps3 must be positive, a proposal without noise has no density, got {eps3}; raise it")
        eps = torch.stack([torch.full((chains,), size, dtype=torch.float64, device=device) for size in sizes])
    ids = check_chain_ids(chain_ids)
    number, step_tensor = check_step(step)
    low, high = check_pair("support", support)
    return Acceptance(
        *torch.ops.stic_fast.metropolis_accept.default(
            x, proposal, *logs, grad_x, grad_proposal, eps, ids, step_tensor, low, high, check_seed(seed), number
        )
    )


def _check(
    x: Tensor,
    proposal: Tensor,
    logp_x: Tensor,
    logp_proposal: Tensor,
    grad_x: Tensor,
    grad_proposal: Tensor,
    eps: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> None:
    kind = shape, _, device = check_chains("x", x)
    check_like("proposal", proposal, "x", kind)
    check_like("grad_x", grad_x, "x", kind)
    check_like("grad_proposal", grad_proposal, "x", kind)
    chains = shape[0]
    per_chain = torch.Size((chains,)), torch.float64, device
    check_numbers("logp_x", logp_x, "one value per chain", per_chain)
    check_numbers("logp_proposal", logp_proposal, "one value per chain", per_chain)
    check_numbers("eps", eps, "eps1 and eps3 of each chain", (torch.Size((2, chains)), torch.float64, device))
    check_noise_address(chain_ids, step_tensor, step, chains, device)
    check_range("support", low, high)


def reference(
    x: Tensor,
    proposal: Tensor,
    logp_x: Tensor,
    logp_proposal: Tensor,
    grad_x: Tensor,
    grad_proposal: Tensor,
    eps: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The correction in plain PyTorch."""
    eps1, eps3 = eps[:, :, None]
    start, end, uphill, uphill_end = (t[:, None].flatten(1).double() for t in (x, proposal, grad_x, grad_proposal))
    log_forward = -(end - start - eps1 * uphill).square().sum(1) / (2 * eps3[:, 0] ** 2)
    log_backward = -(start - end - eps1 * uphill_end).square().sum(1) / (2 * eps3[:, 0] ** 2)
    log_alpha = logp_proposal - logp_x + log_backward - log_forward
    log_alpha = torch.where(((end < low) | (end > high)).any(1), -torch.inf, log_alpha)
    if chain_ids is None:
        chain_ids = torch.arange(x.shape[0], device=x.device)
    word = words(chain_ids, 4, seed, step if step_tensor is None else step_tensor, Stream.METROPOLIS)[:, 0]
    accepted = torch.log((word.double() + 0.5) * 2**-32) < log_alpha
    return torch.where(_beside(accepted, x), proposal, x).contiguous(), accepted, log_alpha


def _beside(accepted: Tensor, x: Tensor) -> Tensor:
    return accepted.view(-1, *[1] * (x.dim() - 1))


def _native(
    x: Tensor,
    proposal: Tensor,
    logp_x: Tensor,
    logp_proposal: Tensor,
    grad_x: Tensor,
    grad_proposal: Tensor,
    eps: Tensor,
    chain_ids: Tensor | None,
    step_tensor: Tensor | None,
    low: float,
    high: float,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor, Tensor]:
    out, accepted, log_alpha = _fake(x, proposal, logp_x)
    fresh(out)
    chains = x.shape[0]
    run(
        "metropolis_accept",
        x.device,
        (out, accepted, log_alpha),
        (x, proposal, grad_x, grad_proposal, logp_x, logp_proposal, eps, chain_ids, step_tensor),
        DTYPE_CODES[x.dtype],
        chains,
        x.numel() // max(chains, 1),
        low,
        high,
        seed,
        step,
    )
    return out, accepted, log_alpha


def _fake(x: Tensor, proposal: Tensor, logp_x: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        x.new_empty(x.shape[0], dtype=torch.bool),
        x.new_empty(x.shape[0], dtype=torch.float64),
    )


def _setup_context(ctx, inputs, output) -> None:
    ctx.mark_non_differentiable(output[1], output[2])
    ctx.save_for_backward(output[1])


def _backward(ctx, grad, _accepted, _log_alpha):
    (accepted,) = ctx.saved_tensors
    chosen = _beside(accepted, grad)
    return torch.where(chosen, 0, grad), torch.where(chosen, grad, 0), *[None] * 11


register(
    "metropolis_accept",
    "Tensor x, Tensor proposal, Tensor logp_x, Tensor logp_proposal, Tensor grad_x, Tensor grad_proposal, Tensor eps, "
    "Tensor? chain_ids, Tensor? step_tensor, float low, float high, int seed, SymInt step",
    "(Tensor, Tensor, Tensor)",
    check=_check,
    cpu=_native,
    cuda=_native,
    reference=reference,
    fake=_fake,
    vmap=functools.partial(joined_chains, axes={"eps": 1}),
    derivative=(_backward, _setup_context),
)
