# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""All ops under torch.compile: one graph, the eager values and gradients, no recompilation where none is due."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from stic_fast.ops import gram, gram_loss, grmala_step, grmala_step_, metropolis_accept, noise, scaled_silu, vrm_batch

needs_inductor = [
    pytest.mark.native,
    pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="inductor needs a C++ compiler"),
    # Inductor itself still imports a module that calls what torch has deprecated.
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]


class Results(NamedTuple):
    """One tensor of each op, and what the loss of all sends back."""

    noisy: Tensor
    labels: Tensor
    state: Tensor
    log_alpha: Tensor
    losses: Tensor
    activations: Tensor
    gradient: Tensor


@pytest.fixture(autouse=True)
def fresh_compiler() -> Any:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def all_ops(images: Tensor, labels: Tensor, ids: Tensor, step: int | Tensor) -> Results:
    """A Langevin step on noisy images, corrected, and the Gram loss of what comes out, differentiated."""
    where: dict[str, Any] = {"seed": 2**63 + 1, "step": step, "chain_ids": ids}
    x, y = vrm_batch(images, labels, num_classes=3, mixup_alpha=0.4, flip_probability=0.5, max_shift=1, **where)
    uphill = noise.normal(x.shape, stream=5, **where) - x
    per_chain = noise.uniform((x.shape[0],), stream=6, **where)
    proposal = grmala_step(x, uphill, -x, eps1=per_chain, eps2=0.01, eps3=0.1, **where)
    log_p = y[:, 0].double()
    moved = metropolis_accept(x, proposal, log_p, log_p + 1, uphill, uphill, eps1=0.1, eps3=0.5, **where)
    state = moved.x.clone()
    grmala_step_(state, uphill, eps1=0.1, eps3=0.05, **where)
    losses = gram_loss([state, state.flatten(2)[:, :, :2]], [x, None], [None, gram(x)])
    activations = scaled_silu(scaled_silu(state, y[:, :1].expand(-1, state.shape[1])), 1.5)
    return Results(x, y, state, moved.log_alpha, losses, activations, gram(state).sum((1, 2)))


def differentiable(x: Tensor, target: Tensor, step: Tensor) -> Tensor:
    moved = grmala_step(x, x.sin(), x.cos(), eps1=0.1, eps2=0.2, eps3=0.1, seed=3, step=step, clamp=(-2, 2))
    kept = metropolis_accept(x, moved, x[:, 0, 0], x[:, 0, 1], x, x, eps1=0.1, eps3=0.9, seed=3, step=step).x
    kept = scaled_silu(kept, kept[:, :, 0]) + scaled_silu(kept, 0.7)
    return gram_loss([kept, moved], [target, None], [None, gram(target)]).sum() + gram(kept).square().sum()


def inputs(batch: int = 4, size: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch + size)
    images = torch.randint(0, 256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)
    return images, torch.arange(batch) % 3, torch.arange(batch) + 10


def assert_same(compiled: Results, eager: Results) -> None:
    for name, got, wanted in zip(Results._fields, compiled, eager, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=needs_inductor)])
@pytest.mark.parametrize("kind", [torch.tensor, int])
def test_one_graph_of_all_ops(backend: str, kind: Callable[[int], int | Tensor]) -> None:
    compiled = torch.compile(all_ops, backend=backend, fullgraph=True)
    for step in (4, 5, 6):
        eager = all_ops(*inputs(), kind(step))
        assert_same(compiled(*inputs(), kind(step)), eager)
        assert float((eager.state - eager.noisy).abs().max()) > 0.01


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=needs_inductor)])
def test_gradients(backend: str) -> None:
    x, target = (noise.normal((3, 4, 6), seed=seed) for seed in (1, 2))
    step = torch.tensor(7)

    def gradient(function: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        leaf = x.clone().requires_grad_()
        value = function(leaf, target, step)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    eager = gradient(differentiable)
    compiled = gradient(torch.compile(differentiable, backend=backend, fullgraph=True))
    assert float(eager[1].abs().max()) > 0.1
    for got, wanted in zip(compiled, eager, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def test_dynamic_shapes_are_compiled_once() -> None:
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(all_ops, backend=counter, fullgraph=True, dynamic=True)
    counts = []
    for batch, size in ((4, 6), (7, 6), (6, 9), (3, 8)):  # one form of the Gram loss; the other would be another graph
        assert_same(compiled(*inputs(batch, size), torch.tensor(2)), all_ops(*inputs(batch, size), torch.tensor(2)))
        counts.append(counter.frame_count)
    assert counts[0] == counts[-1], counts  # the first call may start anew where it finds a float to be constant


@pytest.mark.parametrize("kind", [torch.tensor, int])
def test_steps_do_not_recompile(kind: Callable[[int], int | Tensor]) -> None:
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(all_ops, backend=counter, fullgraph=True)
    for step in range(2, 9):
        assert_same(compiled(*inputs(), kind(step)), all_ops(*inputs(), kind(step)))
    assert counter.frame_count <= 2  # a number is compiled again when it first changes, then it counts as dynamic
