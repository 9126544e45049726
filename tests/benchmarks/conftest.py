# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Makes `benchmarks` importable, and the results that the tests of the report read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# At the end: the checkout's stic_fast, which has no native module, must not hide the installed one.
sys.path.append(str(ROOT))


MACHINE = {
    "cpu": "Some CPU",
    "cores": 2,
    "threads": 2,
    "torch": "2.13.0",
    "version": "0.1.0",
    "isa": "avx512",
    "compiler": "GNU 12",
    "date": "2026-01-02",
    "load_before": 0.0,
    "other_work": 0.01,
}


def entry(op: str, case: str, implementation: str, median: float, *, threads: int = 2, **facts: Any) -> dict[str, Any]:
    """A row as pytest-benchmark writes it."""
    return {
        "name": "test",
        "extra_info": {"op": op, "case": case, "implementation": implementation, "threads": threads, **facts},
        "stats": {"median": median, "iqr": median / 10, "rounds": 7, "data": [median] * 7, "mean": median},
    }


def content(*entries: dict[str, Any], **machine: Any) -> dict[str, Any]:
    """A result file of pytest-benchmark."""
    return {
        "machine_info": {"stic_fast": {**MACHINE, **machine}},
        "commit_info": {"id": "0123456789abcdef", "dirty": True},
        "benchmarks": list(entries),
    }


@pytest.fixture
def measured() -> dict[str, Any]:
    """One run with some row of every table."""
    small, large = "(64, 3, 32, 32) float32", "(64, 3, 224, 224) float32"
    return content(
        entry("grmala_step", small, "stic_fast", 1e-4, bytes=3_145_728),
        entry("grmala_step", small, "eager", 2.5e-3, bytes=3_145_728),
        entry("grmala_step", small, "torch.compile", 9e-3),
        entry("grmala_step", small, "torchebm", 2e-3),
        entry("grmala_step", small, "without noise", 5e-5),
        entry("grmala_step", small, "copy", 4e-5),
        entry("grmala_step", large, "stic_fast", 8e-3),
        entry("grmala_step", large, "without noise", 7e-3),
        entry("grmala_step_ by size", "(100, 1000) float32", "stic_fast", 1e-4, elements=100_000),
        entry("grmala_step_ by size", "(100000, 1000) float32", "stic_fast", 1.2e-1, elements=100_000_000),
        entry("grmala_step_ by size", "(100, 1000) float32", "copy", 5e-5, elements=100_000),
        entry("gram_loss by form", "4 × 16 channels", "primal", 1e-3, chosen="primal"),
        entry("gram_loss by form", "4 × 16 channels", "dual", 0.8e-3, chosen="primal"),
        entry("ceiling", "copy in memory", "measured", 0.1, bytes=1_000_000_000),
        entry("ceiling", "copy in memory", "measured", 0.2, threads=1, bytes=1_000_000_000),
        entry("one step of GRMALA", "(4, 3, 32, 32) float32, WRN-28-10", "stic_fast", 1.0),
        entry("one step of GRMALA", "(4, 3, 32, 32) float32, WRN-28-10", "stic_fast bf16", 0.5),
        entry("one step of GRMALA", "(4, 3, 32, 32) float32, WRN-28-10", "eager", 1.5),
    )
