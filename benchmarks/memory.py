# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Peak memory of the Gram loss and of a sampling run, each in a fresh process: `python -m benchmarks.memory`.

Needs Linux, whose kernel records a process's peak and lets it be reset.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.results import Run, save
from benchmarks.row_names import EAGER, OWN

ROOT = Path(__file__).parent.parent
CHILD = "import sys; sys.path.append(sys.argv.pop(1)); from benchmarks.memory_probe import main; main()"
"""Appended, so that an installed stic_fast comes before the checkout's, which has no native module."""
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Freed memory goes back to the system at once, so that what is resident is what is in use."""

GRAM_SHAPES = ((64, 640, 8, 8), (64, 320, 16, 16), (64, 160, 32, 32))


class Network(NamedTuple):
    """A WideResNet and the runs that are drawn from it."""

    name: str
    depth: int
    width: int
    image: tuple[int, int, int]
    runs: tuple[tuple[int, int], ...]
    """Batch size and steps of each."""


NETWORKS = (
    Network("WRN-10-1, 2 Gram layers", 10, 1, (1, 8, 8), ((1, 2), (2, 2), (4, 2), (64, 2), (64, 20), (256, 2))),
    Network("WRN-28-10, 8 Gram layers", 28, 10, (3, 32, 32), ((1, 2), (2, 2), (4, 2))),
)


def requests() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of a row's label and what its probe is asked for."""
    for shape in GRAM_SHAPES:
        for name in (OWN, EAGER):
            request: dict[str, Any] = {"kind": "gram_loss", "implementation": name, "shape": shape}
            yield {"kind": "gram_loss", "case": str(shape), "implementation": name}, request
    for network in NETWORKS:
        for batch, steps in network.runs:
            label = {"kind": "sampling", "case": network.name, "batch": batch, "steps": steps}
            sizes = {"depth": network.depth, "width": network.width, "shape": (batch, *network.image)}
            yield label, {"kind": "sampling", "steps": steps, **sizes}


def probe(request: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process answers.

    Raises:
        RuntimeError: the process failed; the message holds the end of what it said.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(ROOT), json.dumps(request)],
            cwd=elsewhere,
            env={**os.environ, **ALLOCATOR},
            capture_output=True,
            text=True,
        )
    if child.returncode:
        raise RuntimeError(f"the probe {request} failed:\n{child.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(child.stdout)
    return answer


def measure_all() -> Run:
    """Every row, printed as it comes."""
    machine: dict[str, Any] = {}
    rows = []
    for label, request in requests():
        answer = probe(request)
        machine = answer.pop("machine")
        rows.append({**label, **answer})
        print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    return Run(machine, [], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and writes what benchmarks.report reads."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Peak memory.")
    parser.add_argument("--json", type=Path, required=True, metavar="MEMORY.json", help="write the rows there")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/clear_refs").exists():
        parser.error("peak memory is read from /proc, which this system does not have; run it on Linux")
    save(options.json, [measure_all()])


if __name__ == "__main__":
    main()
