# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How the time of `grmala_step_` grows from a thousand to a hundred million elements, and what threads gain."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.langevin_rivals import eager_in_place
from benchmarks.row_names import COPY, EAGER, OWN, SCALING
from benchmarks.timing import THREAD_COUNTS, Case, measure, measure_copy
from stic_fast import grmala_step_

SAMPLE = 1000
"""Elements of a chain."""
SIZES = tuple(10**power for power in range(3, 9))
LARGEST_EAGER = 10**7
LARGEST_QUICK = 10**7
"""Above, a row takes seconds and gigabytes."""
EPS = 0.95, 0.95, 0.015


def own(x: Tensor, uphill: Tensor, downhill: Tensor, eps1: float, eps2: float, eps3: float) -> Tensor:
    return grmala_step_(x, uphill, downhill, eps1=eps1, eps2=eps2, eps3=eps3, seed=0, step=0)


def parameters() -> list[Any]:
    """Each size at each number of threads, the three implementations in a row."""
    return [
        pytest.param(
            threads,
            elements,
            implementation,
            id=f"{implementation}-{elements}-{threads} threads",
            marks=[
                *([pytest.mark.slow] if elements > LARGEST_QUICK else []),
                *([pytest.mark.cpu] if threads != THREAD_COUNTS[-1] else []),
            ],
        )
        for threads, elements, implementation in itertools.product(THREAD_COUNTS, SIZES, (OWN, EAGER, COPY))
        if implementation != EAGER or elements <= LARGEST_EAGER
    ]


@pytest.mark.parametrize(("threads", "elements", "implementation"), parameters(), indirect=["threads"])
def test_scaling(benchmark: BenchmarkFixture, threads: int, elements: int, implementation: str) -> None:
    case = Case((elements // SAMPLE, SAMPLE))
    moved = 4 * case.nbytes
    if implementation == COPY:
        measure_copy(benchmark, op=SCALING, case=case, moved=moved)
        return
    measure(
        benchmark,
        op=SCALING,
        case=case,
        implementation=implementation,
        function=own if implementation == OWN else eager_in_place,
        draw=lambda: (*(torch.full(case.shape, 0.1) for _ in range(3)), *EPS),
        elements=elements,
        bytes=moved,
    )
