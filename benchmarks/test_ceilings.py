# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The machine's ceilings: a CPU's at one thread and at all of them, or a GPU's."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.ceilings import CEILINGS, GPU_CEILINGS, Ceiling
from benchmarks.row_names import CEILING, MEASURED
from benchmarks.timing import THREAD_COUNTS, measure


@pytest.mark.cpu
@pytest.mark.parametrize("threads", THREAD_COUNTS, indirect=True)
@pytest.mark.parametrize("ceiling", CEILINGS, ids=lambda ceiling: ceiling.name)
def test_ceiling(benchmark: BenchmarkFixture, threads: int, ceiling: Ceiling) -> None:
    run(benchmark, ceiling)


@pytest.mark.cuda
@pytest.mark.parametrize("ceiling", GPU_CEILINGS, ids=lambda ceiling: ceiling.name)
def test_ceiling_of_a_gpu(benchmark: BenchmarkFixture, ceiling: Ceiling) -> None:
    run(benchmark, ceiling)


def run(benchmark: BenchmarkFixture, ceiling: Ceiling) -> None:
    measure(
        benchmark,
        op=CEILING,
        case=ceiling.name,
        implementation=MEASURED,
        function=ceiling.function,
        draw=ceiling.draw,
        **{ceiling.unit: ceiling.amount},
    )
