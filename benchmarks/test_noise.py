# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Speed of `stic_fast.noise` against torch.randn and torch.rand, whose noise depends on the batch and the threads.

The copy reads and writes half a tensor each: as many bytes as the noise has to write.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.row_names import COMPILED, COPY, EAGER, OWN, REFERENCE
from benchmarks.timing import Case, device, measure, measure_copy, prepare, rows
from stic_fast import noise
from stic_fast.ops.noise import Stream, reference_normal, reference_uniform

CASES = (
    Case((64, 3, 32, 32)),
    Case((64, 3, 32, 32), torch.bfloat16),
    Case((64, 3, 224, 224)),
    Case((100, 1, 8, 8)),
)
NATIVE = {"normal": noise.normal, "uniform": noise.uniform}
PYTORCH = {"normal": torch.randn, "uniform": torch.rand}
PLAIN = {"normal": reference_normal, "uniform": reference_uniform}


@pytest.mark.parametrize(("implementation", "case"), rows((OWN, EAGER, COMPILED, REFERENCE, COPY), CASES))
@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_noise(benchmark: BenchmarkFixture, law: str, implementation: str, case: Case) -> None:
    if implementation == COPY:
        measure_copy(benchmark, op=f"noise.{law}", case=case, moved=case.nbytes)
        return
    shape, dtype, where = case.shape, case.dtype, device()
    chain_ids = torch.arange(shape[0])

    def own(step: int) -> Tensor:
        return NATIVE[law](shape, seed=0, step=step, dtype=dtype, device=where)

    def plain(step: int) -> Tensor:
        return PLAIN[law](chain_ids, None, shape[1:], 0, step, Stream.LANGEVIN, dtype)

    def eager(_step: int) -> Tensor:
        return PYTORCH[law](shape, dtype=dtype, device=where)

    function = prepare(implementation, {OWN: own, REFERENCE: plain}.get(implementation, eager))
    step = itertools.count()
    if implementation == COMPILED:  # a number that changes would be compiled anew
        step = itertools.repeat(0)  # type: ignore[assignment]
    measure(
        benchmark,
        op=f"noise.{law}",
        case=case,
        implementation=implementation,
        function=function,
        draw=lambda: (next(step),),
        elements=case.elements,
        bytes=case.nbytes,
    )
