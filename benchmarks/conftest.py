# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the suites share: the options, the table's columns, devices, threads, and the machine in the results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from benchmarks.machine import OtherWork, describe, load

SLOW = ("compile", "slow", "paper")
"""Markers of the rows that --quick leaves out."""
TABLE = {
    "benchmark_max_time": "0.5",
    "benchmark_columns": ["median", "iqr", "rounds"],
    "benchmark_sort": "median",
    "benchmark_name": "short",
}
"""pytest-benchmark's options, where the command line leaves them out."""
ELSEWHERE = {"cpu": "cuda", "cuda": "cpu"}
"""By device, the marker of rows that it leaves out."""
BEFORE = pytest.StashKey[tuple[float | None, OtherWork]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--device`, `--quick` and `--reverse`."""
    parser.addoption("--device", choices=list(ELSEWHERE), default="cpu", help="measure on the CPU or on a GPU")
    parser.addoption("--quick", action="store_true", help=f"leave out {' and '.join(SLOW)} rows")
    parser.addoption("--reverse", action="store_true", help="measure in the opposite order, to see what order does")


def pytest_configure(config: pytest.Config) -> None:
    """The table's columns, and the state of the machine before the first row."""
    if config.getoption("--device") == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError("--device cuda: PyTorch finds no CUDA device; leave the option out to measure the CPU")
    for name, value in TABLE.items():
        flag = f"--{name.replace('_', '-')}"
        if not any(str(argument).startswith(flag) for argument in config.invocation_params.args):
            setattr(config.option, name, value)
    # Worker processes of the compiler would go on beside the rows that follow.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    config.stash[BEFORE] = load(), OtherWork()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the rows that are not wanted here, and puts the others in order."""
    unwanted = {ELSEWHERE[config.getoption("--device")], *(SLOW if config.getoption("--quick") else ())}
    left_out = [item for item in items if unwanted & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if config.getoption("--reverse"):
        items.reverse()


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Adds to the results what the numbers depend on, and takes out the machine's name."""
    machine_info.pop("node", None)
    load_before, other_work = config.stash[BEFORE]
    described = describe(config.getoption("--device"))
    machine_info["stic_fast"] = {**described, "load_before": load_before, "other_work": other_work.cores()}


@pytest.fixture(autouse=True)
def _same_inputs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every row draws the same inputs, on the device asked for."""
    torch.manual_seed(0)
    if request.config.getoption("--device") == "cpu":
        yield
        return
    torch.set_default_device(request.config.getoption("--device"))
    yield
    torch.set_default_device(None)


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a row with the number of threads it is parametrised with."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
