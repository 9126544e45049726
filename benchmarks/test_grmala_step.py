# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `grmala_step` and `grmala_step_` against the update as a Langevin loop in PyTorch writes it."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.timing import COMPILED, REFERENCE, Case, measure, prepare, rows
from stic_fast import grmala_step, grmala_step_
from stic_fast.ops.grmala_step import reference

CASES = (
    Case((64, 3, 32, 32)),
    Case((64, 3, 32, 32), torch.bfloat16),
    Case((64, 3, 224, 224)),
    Case((100, 1, 8, 8)),
)
EPS1, EPS2, EPS3 = 0.95, 0.95, 0.015


def own(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return grmala_step(x, uphill, downhill, eps1=EPS1, eps2=EPS2, eps3=EPS3, seed=0, step=0)


def plain(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return reference(x, uphill, downhill, None, None, None, EPS1, EPS2, EPS3, -1.0, 1.0, 0, 0)


def eager(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return (x + EPS1 * uphill - EPS2 * downhill + EPS3 * torch.randn_like(x)).clamp(-1, 1)


def own_in_place(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return grmala_step_(x, uphill, downhill, eps1=EPS1, eps2=EPS2, eps3=EPS3, seed=0, step=0)


def eager_in_place(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    x += EPS1 * uphill - EPS2 * downhill + EPS3 * torch.randn_like(x)
    return x.clamp_(-1, 1)


def own_without_noise(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return grmala_step(x, uphill, downhill, eps1=EPS1, eps2=EPS2, eps3=0.0, seed=0, step=0)


def eager_without_noise(x: Tensor, uphill: Tensor, downhill: Tensor) -> Tensor:
    return (x + EPS1 * uphill - EPS2 * downhill).clamp(-1, 1)


FORMS = {
    "grmala_step": {"stic_fast": own, "eager": eager, REFERENCE: plain, COMPILED: eager},
    "grmala_step_": {"stic_fast": own_in_place, "eager": eager_in_place, COMPILED: eager_in_place},
    "grmala_step without noise": {
        "stic_fast": own_without_noise,
        "eager": eager_without_noise,
        COMPILED: eager_without_noise,
    },
}


def run(benchmark: BenchmarkFixture, op: str, implementation: str, case: Case) -> None:
    function = prepare(implementation, FORMS[op][implementation])
    measure(
        benchmark,
        op=op,
        case=case,
        implementation=implementation,
        function=function,
        draw=lambda: (case.randn(), case.randn(), case.randn()),
    )


@pytest.mark.parametrize(("implementation", "case"), rows(FORMS["grmala_step"], CASES))
def test_grmala_step(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    run(benchmark, "grmala_step", implementation, case)


@pytest.mark.parametrize(("implementation", "case"), rows(FORMS["grmala_step_"], CASES))
def test_grmala_step_in_place(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    run(benchmark, "grmala_step_", implementation, case)


@pytest.mark.parametrize(("implementation", "case"), rows(FORMS["grmala_step without noise"], CASES))
def test_grmala_step_without_noise(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """What is left of the time when nothing is drawn: how far the noise is from free."""
    run(benchmark, "grmala_step without noise", implementation, case)
