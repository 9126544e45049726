# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the suites share: the options that add slow rows, and the description of the machine in the results."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

import pytest
import torch

import stic_fast
from stic_fast.native import kernels

OPTIONAL_ROWS = {
    "compile": "add rows with torch.compile, whose first call takes up to a minute each",
    "paper": "add the paper's WRN-28-10, some seconds a step on a few cores",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--compile` and `--paper`, off by default."""
    for name, purpose in OPTIONAL_ROWS.items():
        parser.addoption(f"--{name}", action="store_true", help=purpose)


def pytest_configure(config: pytest.Config) -> None:
    """A marker of the same name stands on the rows that an option adds."""
    for name, purpose in OPTIONAL_ROWS.items():
        config.addinivalue_line("markers", f"{name}: {purpose}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the rows that were not asked for."""
    absent = {name for name in OPTIONAL_ROWS if not config.getoption(name)}
    deselected = [item for item in items if absent & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in deselected]


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Adds to the results what the numbers depend on; `benchmarks.report` prints it."""
    build = kernels.build_info()
    machine_info["stic_fast"] = {
        "cpu": machine_info["cpu"].get("brand_raw", "unknown CPU"),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "version": stic_fast.__version__,
        "isa": build["isa"],
        "compiler": build["compiler"],
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


@pytest.fixture(autouse=True)
def _same_inputs() -> None:
    """Every row draws the same inputs."""
    torch.manual_seed(0)
