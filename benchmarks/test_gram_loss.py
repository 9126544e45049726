# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `gram_loss` with its gradient against autograd through eager Gram matrices, and its products alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from benchmarks.gram_cases import ALL_LAYERS, CASES, LAYERS, eager_gram, eager_gram_loss, eager_loss_of_layers
from benchmarks.gram_products import operations, products
from benchmarks.row_names import COMPILED, EAGER, OWN, PRODUCTS
from benchmarks.timing import Case, device, measure, prepare, rows
from stic_fast import gram, gram_loss
from stic_fast.ops.gram_loss import prefers_dual

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

LOSS, KEPT = "gram_loss and gradient", "gram_loss of a kept target"


def eager_from_features(features: Tensor, reference: Tensor) -> Tensor:
    return eager_gram_loss(features, eager_gram(reference))


def own_given_gram(features: Tensor, target: Tensor) -> Tensor:
    return gram_loss(features, gram=target)


def as_it_is(reference: Tensor) -> Tensor:
    return reference


@pytest.mark.parametrize(("implementation", "case"), rows((OWN, EAGER, COMPILED, PRODUCTS), CASES))
def test_gram_loss(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """Both sides given the reference's features."""
    if implementation == PRODUCTS:
        example = torch.empty(case.shape)
        measure(
            benchmark,
            op=LOSS,
            case=case,
            implementation=implementation,
            function=products(example, example),
            draw=lambda: (case.randn(), case.randn()),
            operations=operations_of(case),
        )
        return
    run(benchmark, LOSS, implementation, case, gram_loss if implementation == OWN else eager_from_features, as_it_is)


def own_layers(features: list[Tensor], references: list[Tensor]) -> Tensor:
    return gram_loss(features, references)


def own_layers_in_fp32(features: list[Tensor], references: list[Tensor]) -> Tensor:
    return gram_loss(features, references, allow_tf32=False)


LAYERWISE = {
    OWN: own_layers,
    f"{OWN} without tf32": own_layers_in_fp32,
    f"{OWN} bf16": own_layers,
    EAGER: eager_loss_of_layers,
    COMPILED: eager_loss_of_layers,
}


@pytest.mark.parametrize(("implementation", "case"), rows(LAYERWISE, [ALL_LAYERS]))
def test_gram_loss_of_all_layers(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """The paper's Gram term: PyTorch goes through the layers one by one."""
    loss = prepare(implementation, LAYERWISE[implementation])
    dtype = torch.bfloat16 if implementation.endswith("bf16") else torch.float32

    def forward_and_gradients(*tensors: Tensor) -> tuple[Tensor, ...]:
        features, references = list(tensors[:LAYERS]), list(tensors[LAYERS:])
        return torch.autograd.grad(loss(features, references).sum(), features)

    measure(
        benchmark,
        op=LOSS,
        case=case,
        implementation=implementation,
        function=forward_and_gradients,
        draw=lambda: (
            *(case.randn().to(dtype).requires_grad_() for _ in range(LAYERS)),
            *(case.randn().to(dtype) for _ in range(LAYERS)),
        ),
        bytes=3 * LAYERS * case.nbytes,  # features and references read, gradients written
    )


@pytest.mark.parametrize(("implementation", "case"), rows((OWN, EAGER, COMPILED), CASES))
def test_gram_loss_of_kept_target(benchmark: BenchmarkFixture, implementation: str, case: Case) -> None:
    """A step of a chain: the reference is fixed, so each side keeps what serves it best, PyTorch the Gram matrix."""
    if implementation != OWN:
        run(benchmark, KEPT, implementation, case, eager_gram_loss, eager_gram)
        return
    _, channels, height, width = case.shape
    if prefers_dual(channels, height * width, height * width, gram_known=True, device_type=device().type):
        run(benchmark, KEPT, implementation, case, gram_loss, as_it_is)
    else:
        run(benchmark, KEPT, implementation, case, own_given_gram, gram)


def run(
    benchmark: BenchmarkFixture,
    op: str,
    implementation: str,
    case: Case,
    function: Callable[..., Tensor],
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
        operations=operations_of(case, target_kept=op == KEPT),
    )


def operations_of(case: Case, *, target_kept: bool = False) -> int:
    batch, channels, *space = case.shape
    size = space[0] * space[1]
    return operations(batch, channels, size, size, target_kept=target_kept)
