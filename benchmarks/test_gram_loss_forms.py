# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The cost model of `gram_loss` held against the clock: primal and dual form, each forced, at twelve shapes."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.row_names import COST_MODEL, DUAL, PRIMAL
from benchmarks.timing import measure
from stic_fast import gram_loss

module = importlib.import_module("stic_fast.ops.gram_loss")  # the package's attribute of this name is the function


class Shape(NamedTuple):
    """Features (batch, channels, size) held against a reference of (batch, channels, reference_size)."""

    batch: int
    channels: int
    size: int
    reference_size: int

    def __str__(self) -> str:
        other = "" if self.reference_size == self.size else f", reference {self.reference_size}"
        return f"{self.batch} × {self.channels} channels, {self.size} positions{other}"


SHAPES = (
    Shape(16, 16, 4, 4),
    Shape(16, 16, 64, 64),
    Shape(2, 16, 4096, 4096),
    Shape(100, 64, 4, 4),
    Shape(16, 64, 49, 49),
    Shape(16, 64, 1024, 1024),
    Shape(16, 160, 100, 400),
    Shape(16, 256, 144, 144),
    Shape(16, 320, 256, 64),
    Shape(16, 320, 256, 256),
    Shape(16, 640, 64, 64),
    Shape(8, 640, 324, 324),
)


@pytest.mark.cpu
@pytest.mark.parametrize("form", [PRIMAL, DUAL])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gram_loss_forms(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, shape: Shape, form: str) -> None:
    chosen = DUAL if module.prefers_dual(shape.channels, shape.size, shape.reference_size) else PRIMAL
    monkeypatch.setattr(module, "prefers_dual", lambda *_, **__: form == DUAL)

    def forward_and_gradient(features: Tensor, reference: Tensor) -> Tensor:
        return torch.autograd.grad(gram_loss(features, reference).sum(), features)[0]

    measure(
        benchmark,
        op=COST_MODEL,
        case=str(shape),
        implementation=form,
        function=forward_and_gradient,
        draw=lambda: (
            torch.randn(shape.batch, shape.channels, shape.size, requires_grad=True),
            torch.randn(shape.batch, shape.channels, shape.reference_size),
        ),
        chosen=chosen,
    )
