# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `scaled_silu` and of its gradients against the formula in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.row_names import COMPILED, COPY, EAGER, OWN
from benchmarks.timing import Case, measure, measure_copy, prepare, rows
from stic_fast import scaled_silu

PER_CHANNEL = "a scale for each channel"
CASES = (
    Case((128, 64, 16, 16), torch.bfloat16),
    Case((128, 64, 16, 16), torch.bfloat16, note=PER_CHANNEL),
    Case((128, 64, 16, 16), note=PER_CHANNEL),
    Case((128, 256, 4, 4), torch.bfloat16, note=PER_CHANNEL),
)


def eager(x: Tensor, scale: float | Tensor) -> Tensor:
    factor = scale[:, :, None, None].to(x.dtype) if isinstance(scale, Tensor) else scale
    return torch.nn.functional.silu(x * factor).mul_(1 / 0.596)


IMPLEMENTATIONS: dict[str, Callable[..., Tensor]] = {OWN: scaled_silu, EAGER: eager, COMPILED: eager}
ROWS = rows((*IMPLEMENTATIONS, COPY), CASES)


def draw_x(case: Case) -> Tensor:
    return case.randn().contiguous(memory_format=torch.channels_last)


def draw_scale(case: Case) -> float | Tensor:
    return torch.rand(case.shape[:2]) + 0.5 if case.note == PER_CHANNEL else 1.1


@pytest.mark.parametrize(("implementation", "case"), ROWS)
def test_scaled_silu(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    moved = 2 * case.nbytes  # one tensor read, one written
    if implementation == COPY:
        measure_copy(benchmark, op="scaled_silu", case=case, moved=moved)
        return
    measure(
        benchmark,
        op="scaled_silu",
        case=case,
        implementation=implementation,
        function=prepare(implementation, IMPLEMENTATIONS[implementation]),
        draw=lambda: (draw_x(case), draw_scale(case)),
        elements=case.elements,
        bytes=moved,
    )


@pytest.mark.parametrize(("implementation", "case"), ROWS)
def test_scaled_silu_and_gradients(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    op = "scaled_silu and gradients"
    moved = 5 * case.nbytes  # twice x and once the incoming gradient read, the value and the gradient in x written
    if implementation == COPY:
        measure_copy(benchmark, op=op, case=case, moved=moved)
        return
    function = prepare(implementation, IMPLEMENTATIONS[implementation])

    def both(x: Tensor, scale: float | Tensor, grad: Tensor) -> Any:
        leaves = [value for value in (x, scale) if isinstance(value, Tensor)]
        return torch.autograd.grad(function(x, scale), leaves, grad)

    def draw() -> tuple[Any, ...]:
        scale = draw_scale(case)
        return (
            draw_x(case).requires_grad_(),
            scale.requires_grad_() if isinstance(scale, Tensor) else scale,
            draw_x(case),
        )

    measure(
        benchmark,
        op=op,
        case=case,
        implementation=implementation,
        function=both,
        draw=draw,
        elements=case.elements,
        bytes=moved,
    )
