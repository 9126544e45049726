# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `metropolis_accept` against the correction written out in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.row_names import COMPILED, COPY, EAGER, OWN, REFERENCE
from benchmarks.timing import Case, measure, measure_copy, prepare, rows
from stic_fast import metropolis_accept
from stic_fast.ops.metropolis_accept import reference

CASES = (Case((64, 3, 32, 32)), Case((64, 3, 224, 224)), Case((100, 1, 8, 8)))
EPS1, EPS3 = 0.005, 0.1


def own(*states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return metropolis_accept(*states, eps1=EPS1, eps3=EPS3, seed=0, step=0)


def plain(
    x: Tensor, proposal: Tensor, logp_x: Tensor, logp_proposal: Tensor, grad_x: Tensor, grad_proposal: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    eps = torch.tensor([[EPS1], [EPS3]], dtype=torch.float64).expand(2, len(x))
    low, high = -torch.inf, torch.inf
    return reference(
        x, proposal, logp_x, logp_proposal, grad_x, grad_proposal, eps, None, None, low, high, seed=0, step=0
    )


def eager(
    x: Tensor, proposal: Tensor, logp_x: Tensor, logp_proposal: Tensor, grad_x: Tensor, grad_proposal: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    log_forward = -(proposal - x - EPS1 * grad_x).pow(2).flatten(1).sum(1) / (2 * EPS3**2)
    log_backward = -(x - proposal - EPS1 * grad_proposal).pow(2).flatten(1).sum(1) / (2 * EPS3**2)
    log_alpha = logp_proposal - logp_x + log_backward - log_forward
    accepted = torch.rand_like(log_alpha).log() < log_alpha
    return torch.where(accepted[:, None, None, None], proposal, x), accepted, log_alpha


IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {OWN: own, EAGER: eager, COMPILED: eager, REFERENCE: plain}


@pytest.mark.parametrize(("implementation", "case"), rows((*IMPLEMENTATIONS, COPY), CASES))
def test_metropolis_accept(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    moved = 5 * case.nbytes  # four tensors read, one written
    if implementation == COPY:
        measure_copy(benchmark, op="metropolis_accept", case=case, moved=moved)
        return

    def draw() -> tuple[Tensor, ...]:
        x, uphill = case.randn(), case.randn()
        logp = torch.randn(2, case.shape[0])
        return x, x + EPS1 * uphill + EPS3 * case.randn(), logp[0], logp[1], uphill, case.randn()

    measure(
        benchmark,
        op="metropolis_accept",
        case=case,
        implementation=implementation,
        function=prepare(implementation, IMPLEMENTATIONS[implementation]),
        draw=draw,
        elements=case.elements,
        bytes=moved,
    )
