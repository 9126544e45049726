# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `grmala_step` and `grmala_step_` against the update as others write it, without noise, and as a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from benchmarks.langevin_rivals import Eps, eager, eager_in_place, torchebm_step
from benchmarks.row_names import COMPILED, COPY, EAGER, NOISE_FREE, OWN, REFERENCE, TORCHEBM
from benchmarks.timing import Case, measure, measure_copy, prepare, rows
from stic_fast import grmala_step, grmala_step_
from stic_fast.ops.grmala_step import reference

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

PER_CHAIN = "step sizes per chain"
CASES = (
    Case((64, 3, 32, 32)),
    Case((64, 3, 32, 32), torch.bfloat16),
    Case((64, 3, 32, 32), torch.float16),
    Case((64, 3, 32, 32), note=PER_CHAIN),
    Case((64, 3, 224, 224)),
    Case((100, 1, 8, 8)),
    Case((256, 3, 224, 224), marker="cuda"),
)
EPS = 0.95, 0.95, 0.015


def own(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: Eps, eps2: Eps, eps3: Eps) -> Tensor:
    return grmala_step(x, uphill, downhill, eps1=eps1, eps2=eps2, eps3=eps3, seed=0, step=0)


def own_in_place(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: Eps, eps2: Eps, eps3: Eps) -> Tensor:
    return grmala_step_(x, uphill, downhill, eps1=eps1, eps2=eps2, eps3=eps3, seed=0, step=0)


def plain(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: Eps, eps2: Eps, eps3: Eps) -> Tensor:
    table = torch.stack([torch.as_tensor(eps, dtype=torch.float64).expand(len(x)) for eps in (eps1, eps2, eps3)])
    return reference(x, uphill, downhill, None, None, table, 0.0, 0.0, 0.0, -1.0, 1.0, 0, 0)


FUNCTIONS = {
    "grmala_step": {OWN: own, NOISE_FREE: own, EAGER: eager, COMPILED: eager, REFERENCE: plain},
    "grmala_step_": {OWN: own_in_place, NOISE_FREE: own_in_place, EAGER: eager_in_place, COMPILED: eager_in_place},
}


@pytest.mark.parametrize(("implementation", "case"), rows((*FUNCTIONS["grmala_step"], TORCHEBM, COPY), CASES))
def test_grmala_step(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    run(benchmark, "grmala_step", implementation, case)


@pytest.mark.parametrize(("implementation", "case"), rows((*FUNCTIONS["grmala_step_"], COPY), CASES))
def test_grmala_step_in_place(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    run(benchmark, "grmala_step_", implementation, case)


def run(benchmark: BenchmarkFixture, op: str, implementation: str, case: Case) -> None:
    moved = 4 * case.nbytes  # three tensors read, one written
    if implementation == COPY:
        measure_copy(benchmark, op=op, case=case, moved=moved)
        return
    sizes = EPS if implementation != NOISE_FREE else (*EPS[:2], 0.0)

    def draw() -> tuple[Any, ...]:
        if implementation == TORCHEBM:
            return case.randn(), case.randn()
        return case.randn(), case.randn(), case.randn(), *step_sizes(case, sizes, implementation)

    measure(
        benchmark,
        op=op,
        case=case,
        implementation=implementation,
        function=function_of(op, implementation, case),
        draw=draw,
        elements=case.elements,
        bytes=moved,
    )


def function_of(op: str, implementation: str, case: Case) -> Callable[..., Tensor]:
    if implementation != TORCHEBM:
        return prepare(implementation, FUNCTIONS[op][implementation])
    if case.note == PER_CHAIN:
        pytest.skip("torchebm has one step size for all chains")
    return torchebm_step(case.dtype, EPS[0], EPS[2])


def step_sizes(case: Case, sizes: tuple[float, ...], implementation: str) -> tuple[Eps, ...]:
    """Numbers, or one value per chain in the shape that the implementation broadcasts."""
    if case.note != PER_CHAIN:
        return sizes
    own_shape = implementation not in (EAGER, COMPILED)
    shape = (case.shape[0],) if own_shape else (case.shape[0], *[1] * (len(case.shape) - 1))
    return tuple(torch.full(shape, size) for size in sizes)
