# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `gram_loss` with its gradient against autograd through eager Gram matrices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.gram_cases import CASES, eager_gram, eager_gram_loss
from benchmarks.timing import COMPILED, Case, measure, prepare, rows
from stic_fast import gram, gram_loss
from stic_fast.ops.gram_loss import prefers_dual

IMPLEMENTATIONS = ("stic_fast", "eager", COMPILED)


def eager_from_features(features: Tensor, reference: Tensor) -> Tensor:
    return eager_gram_loss(features, eager_gram(reference))


def own_given_gram(features: Tensor, target: Tensor) -> Tensor:
    return gram_loss(features, gram=target)


@pytest.mark.parametrize(("implementation", "case"), rows(IMPLEMENTATIONS, CASES))
def test_gram_loss(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """Both sides given the reference's features."""
    function = gram_loss if implementation == "stic_fast" else eager_from_features
    run(benchmark, "gram_loss and gradient", implementation, case, function, keep=lambda reference: reference)


@pytest.mark.parametrize(("implementation", "case"), rows(IMPLEMENTATIONS, CASES))
def test_gram_loss_of_kept_target(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """A step of a chain: the reference is fixed, so each side keeps what serves it best, PyTorch the Gram matrix."""
    if implementation != "stic_fast":
        run(benchmark, "gram_loss of a kept target", implementation, case, eager_gram_loss, keep=eager_gram)
        return
    _, channels, height, width = case.shape
    if prefers_dual(channels, height * width, height * width, gram_known=True):
        run(benchmark, "gram_loss of a kept target", implementation, case, gram_loss, keep=lambda reference: reference)
    else:
        run(benchmark, "gram_loss of a kept target", implementation, case, own_given_gram, keep=gram)


def run(
    benchmark: BenchmarkFixture,
    op: str,
    implementation: str,
    case: Case,
    function: Callable[..., Tensor],
    *,
    keep: Callable[[Tensor], Tensor],
) -> None:
    """Times the loss and its gradient in the features; `keep` makes of the reference's features what is kept of it."""
    loss = prepare(implementation, function)

    def forward_and_gradient(features: Tensor, target: Tensor) -> Tensor:
        return torch.autograd.grad(loss(features, target).sum(), features)[0]

    measure(
        benchmark,
        op=op,
        case=case,
        implementation=implementation,
        function=forward_and_gradient,
        draw=lambda: (case.randn().requires_grad_(), keep(case.randn())),
    )
