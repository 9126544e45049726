# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""How a row is timed: rotating inputs, warm-up, and labels that the report reads. `gpu` adds what a GPU needs."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from benchmarks import gpu
from benchmarks.row_names import COMPILED, COPY, FIRST_RUN, GPU, REFERENCE, TORCHEBM
from benchmarks.wording import workers

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

COMPILER_WARNINGS = (
    "ignore:.torch.jit.:DeprecationWarning",
    "ignore:TensorFloat32 tensor cores for float32 matrix multiplication available:UserWarning",
)
"""What PyTorch's compiler warns of: when first imported it uses what PyTorch has deprecated, and on a GPU it advises
TF32, which the eager rows leave off as well."""

POOL_BYTES = 64 * 2**20
"""Least size of the inputs a row rotates through: far beyond an L2 cache, so that no call finds its own there."""
MOST_INPUTS = 1024
WARM_UP_SECONDS = 0.1
LARGEST_REFERENCE = 2**20
"""Elements above which the reference, hundreds of integer operations per element, is left out."""

THREADS = torch.get_num_threads()
"""Of every row that does not set its own; OMP_NUM_THREADS sets it."""
THREAD_COUNTS = tuple(sorted({1, min(2, THREADS), THREADS}))
"""What suites that set their own go through."""


@dataclass(frozen=True)
class Case:
    """One size of the problem; its text is the row's name in the report.

    >>> str(Case((64, 3, 32, 32), note="in place"))
    '(64, 3, 32, 32) float32, in place'
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    note: str = ""
    marker: str = ""
    """Of the rows that `--quick` leaves out or that need a GPU; empty for a case that always runs."""

    def __str__(self) -> str:
        text = f"{self.shape} {str(self.dtype).removeprefix('torch.')}"
        return f"{text}, {self.note}" if self.note else text

    def randn(self) -> Tensor:
        """Normal numbers of this shape and type, on the row's device."""
        return torch.randn(self.shape, dtype=self.dtype)

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Of one tensor of this shape and type."""
        return self.elements * self.dtype.itemsize


def rows(implementations: Iterable[str], cases: Iterable[Case]) -> list[Any]:
    """Parameters ("implementation", "case"): each case under every implementation, rows to be compared in a row."""
    parameters = []
    for case, implementation in itertools.product(cases, implementations):
        if implementation == REFERENCE and case.elements > LARGEST_REFERENCE:
            continue
        marks = [getattr(pytest.mark, case.marker)] if case.marker else []
        if implementation in (REFERENCE, TORCHEBM):
            marks.append(pytest.mark.cpu)
        if implementation == COMPILED:
            marks += [pytest.mark.compile, pytest.mark.filterwarnings(*COMPILER_WARNINGS)]
        parameters.append(pytest.param(implementation, case, id=f"{implementation}-{case}", marks=marks))
    return parameters


def prepare(implementation: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled where the row asks for it; a machine without the compiler for it skips that row."""
    if implementation != COMPILED:
        return function
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils._triton import has_triton

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("torch.compile finds no C++ compiler; install g++ or clang++, or set CXX")
    if is_gpu(device()) and not has_triton():
        pytest.skip("torch.compile needs Triton on a GPU; install triton")
    torch.compiler.reset()
    return torch.compile(function)


def device() -> torch.device:
    """Where a row's tensors are made; `--device` says so."""
    return torch.get_default_device()


def is_gpu(where: torch.device) -> bool:
    return where.type == "cuda"


def measure(
    benchmark: BenchmarkFixture,
    *,
    op: str,
    case: Case | str,
    implementation: str,
    function: Callable[..., Any],
    draw: Callable[[], tuple[Any, ...]],
    steps: int = 1,
    captured: bool = True,
    **facts: float | str,
) -> None:
    """Times `function(*draw())`, inputs drawn beforehand; results are for the clock alone, tests/ checks them.

    With `--benchmark-disable` one set of inputs is drawn and the function called once.

    Args:
        steps: the function runs so many of what the row is about; the clock divides by it. What the first of such runs
            took, with all that is loaded, chosen and captured only once, is told apart.
        captured: on a GPU, whether calls can be timed in a CUDA graph, see `gpu.batch_of`. Runs of steps are not.
        facts: what the report needs beyond the name, such as the `bytes` the op has to move or its `operations`.
    """
    where = device()
    inputs = [draw()] if benchmark.disabled else _drawn(draw, gpu.pool_bytes() if is_gpu(where) else POOL_BYTES)
    if is_gpu(where):
        torch.set_default_device(None)  # it would take its time in every call of PyTorch
    turns = itertools.cycle(inputs)
    calls = steps

    def call() -> None:
        function(*next(turns))

    threads = GPU if is_gpu(where) else torch.get_num_threads()
    benchmark.group = f"{op} {case}, {workers(threads)}"
    benchmark.extra_info = {
        "op": op,
        "case": str(case),
        "implementation": implementation,
        "threads": threads,
        **facts,
    }
    if benchmark.disabled:
        benchmark(call)
        return
    if is_gpu(where) and steps == 1:
        call, calls = gpu.batch_of(function, inputs, captured=captured)
        benchmark.extra_info["timed"] = "in a graph" if captured else "call by call"
    now = clock_by(calls, gpu.finished if is_gpu(where) else time.perf_counter)
    if is_gpu(where) or calls > 1:
        benchmark._timer = now  # pytest-benchmark has no public way to give a row its clock while it runs
    begin = now()
    call()
    if steps > 1:
        benchmark.extra_info[FIRST_RUN] = now() - begin
    if is_gpu(where):
        _time_on_gpu(benchmark, call)
    else:
        _warm_up(call)
        benchmark(call)


def clock_by(calls: int, now: Callable[[], float]) -> Callable[[], float]:
    """Seconds that pass by the call where so many are made at a time."""

    def seconds_by_the_call() -> float:
        return now() / calls

    return seconds_by_the_call


def measure_copy(benchmark: BenchmarkFixture, *, op: str, case: Case, moved: int) -> None:
    """Times the copy that reads half of `moved` bytes and writes the other half, into outputs that are kept."""
    elements = max(moved // 8, 1)
    measure(
        benchmark,
        op=op,
        case=case,
        implementation=COPY,
        function=Tensor.copy_,
        draw=lambda: (torch.ones(elements), torch.ones(elements)),
        elements=case.elements,
        bytes=moved,
    )


def _drawn(draw: Callable[[], tuple[Any, ...]], least_bytes: int) -> list[tuple[Any, ...]]:
    """Inputs that hold so many bytes together, and at least two sets of them."""
    inputs = [draw()]
    size = sum(value.nbytes for value in inputs[0] if isinstance(value, Tensor))
    count = min(max(2, math.ceil(least_bytes / max(size, 1))), MOST_INPUTS)
    return inputs + [draw() for _ in range(count - 1)]


def _time_on_gpu(benchmark: BenchmarkFixture, call: Callable[[], Any]) -> None:
    """A fixed number of rounds: pytest-benchmark would take the divided time for what a round takes."""
    begin = gpu.finished()
    call()
    benchmark.pedantic(call, rounds=gpu.rounds_of(gpu.finished() - begin))


def _warm_up(call: Callable[[], Any]) -> None:
    """At least one call more than the first, which allocates, starts threads and compiles."""
    start = time.perf_counter()
    call()
    while time.perf_counter() - start < WARM_UP_SECONDS:
        call()
