# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `gram`, forward and with its gradient, against a batched product."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.gram_cases import CASES, eager_gram
from benchmarks.timing import COMPILED, Case, measure, prepare, rows
from stic_fast import gram

IMPLEMENTATIONS = {"stic_fast": gram, "eager": eager_gram, COMPILED: eager_gram}


@pytest.mark.parametrize(("implementation", "case"), rows(IMPLEMENTATIONS, CASES))
def test_gram(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    measure(
        benchmark,
        op="gram",
        case=case,
        implementation=implementation,
        function=prepare(implementation, IMPLEMENTATIONS[implementation]),
        draw=lambda: (case.randn(),),
    )


@pytest.mark.parametrize(("implementation", "case"), rows(IMPLEMENTATIONS, CASES))
def test_gram_with_gradient(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    matrix = prepare(implementation, IMPLEMENTATIONS[implementation])
    cotangent = torch.randn(*case.shape[:2], case.shape[1])

    def forward_and_gradient(features: Tensor) -> Tensor:
        return torch.autograd.grad(matrix(features), features, cotangent)[0]

    measure(
        benchmark,
        op="gram and gradient",
        case=case,
        implementation=implementation,
        function=forward_and_gradient,
        draw=lambda: (case.randn().requires_grad_(),),
    )
