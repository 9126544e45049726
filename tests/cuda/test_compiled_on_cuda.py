# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""On a GPU as well, the ops are good citizens of PyTorch: opcheck, and torch.compile without a break."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._triton import has_triton

from stic_fast.ops import gram, gram_loss, grmala_step, grmala_step_, metropolis_accept, noise

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
inductor = pytest.param(
    "inductor",
    marks=[
        pytest.mark.native,
        pytest.mark.skipif(not has_triton(), reason="inductor needs Triton on a GPU"),
        # Inductor itself still imports a module that calls what torch has deprecated.
        pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    ],
)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def randn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to("cuda", dtype)


def arguments_of_ops() -> dict[str, tuple[Any, ...]]:
    """As the public functions pass them on."""
    ids, step = torch.arange(4, device="cuda"), torch.tensor([3], device="cuda")
    states = [randn(4, 2, 5, seed=seed) for seed in range(4)]
    logs = [randn(4, dtype=torch.float64, seed=seed) for seed in range(2)]
    eps = torch.rand(3, 4, dtype=torch.float64, device="cuda") + 0.1
    images = torch.randint(0, 256, (4, 2, 5, 3), dtype=torch.uint8, device="cuda")
    layers = [randn(4, 6, 3, 3), randn(4, 5, 9, 9)]
    references = [randn(4, 6, 2, 2, seed=1), randn(1, 5, 9, 9, seed=1)]
    dual = [True, False]
    return {
        "normal": (ids, step, [3, 7], 5, 0, 2, torch.float32),
        "uniform": (ids, None, [3, 7], 5, 6, 2, torch.bfloat16),
        "grmala_step": (*states[:3], ids, step, eps, 0.0, 0.0, 0.0, -1.0, 1.0, 5, 0),
        "grmala_step_": (*states[:2], None, None, None, None, 0.5, 0.0, 0.1, -1.0, 1.0, 5, 6),
        "metropolis_accept": (*states[:2], *logs, *states[2:], eps[:2].contiguous(), ids, step, -4.0, 4.0, 5, 0),
        "scaled_silu": (states[0], states[1][:, :, 0].contiguous(), 1.0),
        "scaled_silu_backward": (*states[:2], None, 0.5),
        "vrm_batch": (images, ids, ids, None, 4, 0.4, 0.3, 0.5, 1, 5, 6, torch.float32),
        "gram": (layers[0],),
        "gram_loss": (layers, references, [False, False], dual, "log", False, True),
    }


@pytest.mark.parametrize(
    "name",
    [
        *("normal", "uniform", "grmala_step", "grmala_step_", "metropolis_accept"),
        *("scaled_silu", "scaled_silu_backward", "vrm_batch"),
    ],
)
def test_opcheck(name: str) -> None:
    torch.library.opcheck(getattr(torch.ops.stic_fast, name).default, arguments_of_ops()[name])


@pytest.mark.parametrize("name", ["gram", "gram_loss"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_opcheck_of_the_gram_ops(name: str, requires_grad: bool) -> None:
    arguments = list(arguments_of_ops()[name])
    for tensor in arguments[0] if name == "gram_loss" else arguments[:1]:
        tensor.requires_grad_(requires_grad)
    if name == "gram_loss":
        arguments[5] = requires_grad
    torch.library.opcheck(getattr(torch.ops.stic_fast, name).default, tuple(arguments))


def chain(x: Tensor, target: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Three steps of a small chain, and the gradient of what it ends at."""
    for _ in range(3):
        uphill = noise.normal(x.shape, seed=3, step=step, stream=5, chain_ids=torch.arange(len(x), device=x.device)) - x
        moved = grmala_step(x, uphill, x.cos(), eps1=0.1, eps2=0.2, eps3=0.1, seed=3, step=step)
        x = metropolis_accept(x, moved, x[:, 0, 0], x[:, 0, 1], x, x, eps1=0.1, eps3=0.9, seed=3, step=step).x
        step = step + 1
    state = x.detach().clone()
    grmala_step_(state, state.sin(), eps1=0.1, eps3=0.05, seed=3, step=step)
    return gram_loss([x, x], [target, None], [None, gram(target)]).sum() + gram(x).square().sum(), state


@pytest.mark.parametrize("backend", ["aot_eager", inductor])
def test_a_compiled_loop(backend: str) -> None:
    start, target, step = randn(3, 4, 6), randn(3, 4, 6, seed=1), torch.tensor([7], device="cuda")

    def results(function: Any) -> list[Tensor]:
        leaf = start.clone().requires_grad_()
        value, state = function(leaf, target, step)
        return [value.detach(), state, torch.autograd.grad(value, leaf)[0]]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")  # inductor's advice
        compiled = results(torch.compile(chain, backend=backend, fullgraph=True))
    for ours, expected in zip(compiled, results(chain), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
