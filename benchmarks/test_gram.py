# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `gram`, forward and with its gradient, against a batched product."""

from __future__ import annotations

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.gram_cases import CASES, eager_gram
from benchmarks.row_names import COMPILED, EAGER, OWN
from benchmarks.timing import Case, measure, prepare, rows
from stic_fast import gram

IMPLEMENTATIONS = {OWN: gram, EAGER: eager_gram, COMPILED: eager_gram}


@pytest.mark.parametrize(("implementation", "case"), rows(IMPLEMENTATIONS, CASES))
def test_gram(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    measure(
        benchmark,
        op="gram",
        case=case,
        implementation=implementation,
        function=prepare(implementation, IMPLEMENTATIONS[implementation]),
        draw=lambda: (case.randn(),),
        operations=operations(case),
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
        operations=2 * operations(case),
    )


def operations(case: Case) -> int:
    """Multiplications and additions of FFᵀ, both halves."""
    return 2 * case.shape[1] * case.elements
