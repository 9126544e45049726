# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The ops run where they are asked to: on the current stream, on the tensors' device, in a graph that draws anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stic_fast.ops import gram_loss, grmala_step, grmala_step_, metropolis_accept, noise, vrm_batch

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

A_WHILE = 50_000_000
"""Clock cycles, some hundredths of a second."""


def transition(x: Tensor, step: int | Tensor) -> list[Tensor]:
    """One of each op that a chain uses, on float32 (chains, 3, 8, 8)."""
    where: dict[str, Any] = {"seed": 7, "step": step}
    uphill = noise.normal(x.shape, stream=3, device=x.device, **where) - x
    sizes = noise.uniform((len(x),), stream=4, device=x.device, **where)
    proposal = grmala_step(x, uphill, x.sin(), eps1=sizes, eps2=0.25, eps3=0.1, **where)
    log_p = proposal.flatten(1).sum(1)
    moved = metropolis_accept(x, proposal, log_p, log_p + 0.5, uphill, uphill, eps1=0.1, eps3=0.5, **where)
    leaf = moved.x.detach().requires_grad_()
    with torch.enable_grad():
        loss = gram_loss([leaf, leaf.repeat(1, 30, 1, 1)], [x.cos(), x.repeat(1, 30, 1, 1)])
        (pull,) = torch.autograd.grad(loss.sum(), leaf)
    return [proposal, moved.x, moved.log_alpha, loss.detach(), pull]


def start() -> Tensor:
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 0.5


def assert_all_equal(ours: list[Tensor], expected: list[Tensor]) -> None:
    for mine, other in zip(ours, expected, strict=True):
        assert torch.equal(mine.cpu(), other.cpu())


def test_on_the_current_stream() -> None:
    """What an op reads is written late on that stream; on any other it would read what was there before."""
    x, expected = start().cuda(), transition(start().cuda(), 3)
    late, stream = torch.zeros_like(x), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(A_WHILE)
        late.copy_(x)
        ours = transition(late, 3)
    stream.synchronize()
    assert_all_equal(ours, expected)


def test_in_place_on_the_current_stream() -> None:
    x, uphill, stream = start().cuda(), start().cuda(), torch.cuda.Stream()
    expected = grmala_step(x, uphill, eps1=0.5, eps3=0.1, seed=0, step=0)
    late = torch.zeros_like(x)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(A_WHILE)
        late.copy_(x)
        grmala_step_(late, uphill, eps1=0.5, eps3=0.1, seed=0, step=0)
    stream.synchronize()
    assert torch.equal(late, expected)


def test_a_batch_on_the_current_stream() -> None:
    images = torch.randint(0, 256, (6, 3, 9, 9), dtype=torch.uint8, device="cuda")
    labels, late = torch.arange(6, device="cuda"), torch.zeros_like(images)
    arguments: dict[str, Any] = {"num_classes": 6, "mixup_alpha": 1.0, "max_shift": 1, "seed": 0, "step": 1}
    expected, stream = vrm_batch(images, labels, **arguments), torch.cuda.Stream()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(A_WHILE)
        late.copy_(images)
        ours = vrm_batch(late, labels, **arguments)
    stream.synchronize()
    assert_all_equal(list(ours), list(expected))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_on_another_device_than_the_current() -> None:
    expected = transition(start().to("cuda:0"), 3)
    with torch.cuda.device(0):
        ours = transition(start().to("cuda:1"), 3)
        assert torch.cuda.current_device() == 0 and all(tensor.device.index == 1 for tensor in ours)
        assert torch.equal(noise.normal((3, 5), seed=0, device="cuda:1").cpu(), noise.normal((3, 5), seed=0))
    assert_all_equal(ours, expected)


def captured(function: Callable[[], list[Tensor]]) -> tuple[torch.cuda.CUDAGraph, list[Tensor]]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        results = function()
    return graph, results


def test_a_graph_draws_new_noise_at_each_replay() -> None:
    step = torch.zeros(1, dtype=torch.int64, device="cuda")

    def draw() -> list[Tensor]:
        where: dict[str, Any] = {"seed": 5, "step": step, "device": "cuda"}
        drawn = [noise.normal((4, 1001), **where), noise.uniform((2, 7), **where)]
        step.add_(1)
        return drawn

    graph, (normal, uniform) = captured(draw)
    step.fill_(10)
    for number in (10, 11, 12):
        graph.replay()
        assert torch.equal(normal.cpu(), noise.normal((4, 1001), seed=5, step=number))
        assert torch.equal(uniform.cpu(), noise.uniform((2, 7), seed=5, step=number))
    assert step.item() == 13


def test_a_graph_of_all_ops() -> None:
    x, step = start().cuda(), torch.zeros(1, dtype=torch.int64, device="cuda")
    graph, results = captured(lambda: transition(x, step))
    for number in (0, 6, 7):
        step.fill_(number)
        x.copy_(start() * (1 + number))
        graph.replay()
        assert_all_equal(results, transition(x.clone(), number))


def test_a_graph_of_a_step_in_place() -> None:
    x, uphill, step = start().cuda(), start().cuda(), torch.zeros(1, dtype=torch.int64, device="cuda")
    scale = torch.linspace(1.0, 0.1, 20, dtype=torch.float64, device="cuda")

    def move() -> list[Tensor]:
        size = scale.index_select(0, step)[0]
        grmala_step_(x, uphill, eps1=size * 0.5, eps2=0.0, eps3=size * 0.1, seed=1, step=step)
        step.add_(1)
        return [x]

    graph, _ = captured(move)
    x.copy_(start())
    step.fill_(4)
    expected = start()
    for number in range(4, 9):
        graph.replay()
        size = float(scale[number])
        grmala_step_(expected, start(), eps1=size * 0.5, eps2=0.0, eps3=size * 0.1, seed=1, step=number)
        assert torch.equal(x.cpu(), expected)
