# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The first numbers of a GPU are written row by row, without pytest-benchmark, and a page can be made of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu_first
from benchmarks.results import load
from benchmarks.targets import GPU_RATIOS

ROOT = Path(__file__).parents[2]


class Suite:
    """Rows that are timed, one that this machine leaves out, and one that fails."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def rows(self) -> Iterator[gpu_first.Row]:
        yield "stic_fast", lambda benchmark: self.row(benchmark, "stic_fast")
        yield "stic_fast without tf32", lambda benchmark: pytest.skip("install triton")
        yield "eager", lambda benchmark: self.row(benchmark, "eager")
        yield "torch.compile", lambda benchmark: self.fail()
        yield "copy", lambda benchmark: self.row(benchmark, "copy")

    def row(self, benchmark: Any, name: str) -> None:
        self.calls.append(name)
        if not benchmark.disabled:
            labels = {"op": "op", "case": "case", "implementation": name, "threads": 0}
            benchmark.extra_info, benchmark._timer = {**labels, "first_run": 1.0}, time.perf_counter
            benchmark.pedantic(lambda: None, rounds=5)

    def fail(self) -> None:
        raise RuntimeError("out of memory")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Suite:
    suite = Suite()
    monkeypatch.setattr(gpu_first, "ROWS", {"step": suite.rows})
    return suite


def test_every_row_that_can_run_is_written(
    suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, written = tmp_path / "step.json", []
    save = gpu_first.save
    monkeypatch.setattr(gpu_first, "save", lambda *given: (save(*given), written.append(len(load(path)[0].timings))))
    left_out = gpu_first.run(["step"], path, device="cpu")
    assert left_out == ["stic_fast without tf32: not run: install triton", "torch.compile: FAILED: out of memory"]
    (run,) = load(path)
    assert [timing.implementation for timing in run.timings] == ["stic_fast", "eager", "copy"]
    assert all(timing.rounds == 5 and timing.facts["first_run"] > 0 for timing in run.timings)
    assert written == [1, 2, 3], "what is measured is on disk before the next row begins"
    printed = capsys.readouterr()
    assert "op case, eager: " in printed.out and "out of memory" in printed.err


def test_once_calls_the_own_rows_and_writes_nothing(suite: Suite, tmp_path: Path) -> None:
    path = tmp_path / "step.json"
    assert gpu_first.run(["step"], path, once=True, device="cpu") == []
    assert suite.calls == ["stic_fast"] and not path.exists()


def test_the_rows_are_those_of_the_targets() -> None:
    kinds = {"grmala_step": "grmala_step", "gram_loss and gradient": "gram_loss", "one step of GRMALA": "chain"}
    cases = {"grmala_step": gpu_first.LARGEST, "gram_loss": gpu_first.ALL_LAYERS, "chain": gpu_first.WIDE.case}
    for op, case, above, below, _, _ in GPU_RATIOS:
        kind = kinds[op]
        assert str(cases[kind]) == case
        assert {above, below} <= {name for name, _ in gpu_first.ROWS[kind]()}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_one_sentence_where_there_is_no_gpu_and_no_pytest_benchmark() -> None:
    program = """
import sys, runpy
sys.modules["pytest_benchmark"] = None
sys.path.append(sys.argv.pop(1))
runpy.run_module("benchmarks.gpu_first", run_name="__main__")
"""
    command = [sys.executable, "-P", "-c", program, str(ROOT), "chain"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].endswith(
        "error: PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and its driver"
    )
