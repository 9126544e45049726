# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Rows of a GPU: which ones there are, and that a batch of calls is timed as so many calls. On a stand-in for a GPU."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import conftest, gpu, gpu_first, timing
from benchmarks.ceilings import GPU_CEILINGS
from benchmarks.gram_cases import eager_loss_of_layers
from benchmarks.row_names import FIRST_RUN
from benchmarks.targets import GPU_RATIOS
from stic_fast import gram_loss

ROOT = Path(__file__).parents[2]


class StandIn:
    """A graph that makes the captured calls again at each replay, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.captures = self.replays = 0
        for name, value in (
            ("Stream", lambda: SimpleNamespace(wait_stream=lambda _: None)),
            ("stream", self.stream),
            ("current_stream", lambda: None),
            ("CUDAGraph", lambda: SimpleNamespace(replay=self.replay)),
            ("graph", self.graph),
            ("synchronize", lambda: None),
        ):
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(gpu, "pool_bytes", lambda: 2**12)
        monkeypatch.setattr(timing, "is_gpu", lambda _: True)

    @contextmanager
    def stream(self, _: Any) -> Iterator[None]:
        yield

    @contextmanager
    def graph(self, _: Any, *, stream: Any) -> Iterator[None]:
        self.captures += 1
        yield

    def replay(self) -> None:
        self.replays += 1
        time.sleep(1e-4)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


def drawn() -> tuple[torch.Tensor]:
    return (torch.zeros(16),)


def timed(function: Any, **options: Any) -> gpu_first.Rounds:
    benchmark: Any = gpu_first.Rounds()
    timing.measure(
        benchmark, op="op", case="case", implementation="stic_fast", function=function, draw=drawn, **options
    )
    return benchmark  # type: ignore[no-any-return]


def test_a_batch_is_timed_as_so_many_calls(stand_in: StandIn) -> None:
    calls = 0

    def function(x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return x + 1

    row = timed(function, bytes=128)
    assert row.extra_info == {"op": "op", "case": "case", "implementation": "stic_fast", "threads": 0, "bytes": 128} | {
        "timed": "in a graph"
    }
    assert row.group == "op case, GPU"
    in_a_batch = calls - 2 * gpu.CALLS_BEFORE
    assert in_a_batch == gpu.MOST_CALLS and stand_in.captures == 1
    assert stand_in.replays == len(row.seconds) + 2 and len(row.seconds) >= gpu.FEWEST_ROUNDS
    assert all(seconds >= 1e-4 / gpu.MOST_CALLS for seconds in row.seconds)
    assert sorted(row.seconds)[0] < 1e-3 / gpu.MOST_CALLS


def test_what_cannot_be_captured_is_called(stand_in: StandIn) -> None:
    row = timed(lambda x: time.sleep(1e-3), captured=False)
    assert stand_in.captures == stand_in.replays == 0 and row.extra_info["timed"] == "call by call"
    assert 1e-3 <= min(row.seconds) < 5e-3


def test_a_run_of_steps_is_timed_as_so_many_steps(stand_in: StandIn) -> None:
    row = timed(lambda x: time.sleep(2e-2), steps=20)
    assert stand_in.captures == 0 and "timed" not in row.extra_info
    assert 1e-3 <= min(row.seconds) < 5e-3 and len(row.seconds) >= gpu.FEWEST_ROUNDS


def test_the_first_of_several_runs_is_told_apart(stand_in: StandIn) -> None:
    """It loads libraries, chooses algorithms and takes memory, which the median must not hide."""
    runs = 0

    def function(x: torch.Tensor) -> None:
        nonlocal runs
        runs += 1
        time.sleep(1e-1 if runs == 1 else 1e-3)

    row = timed(function, steps=10)
    assert row.extra_info[FIRST_RUN] >= 1e-2 > 5e-3 > min(row.seconds) and runs == len(row.seconds) + 2
    assert FIRST_RUN not in timed(lambda x: x + 1).extra_info


def test_one_call_of_one_set_of_inputs_where_nothing_is_timed(stand_in: StandIn) -> None:
    """Not 64 MiB of inputs, no batches, no captures: `--benchmark-disable` only sees that a row still runs."""
    calls = {"draw": 0, "function": 0}

    def draw() -> tuple[torch.Tensor]:
        calls["draw"] += 1
        return (torch.zeros(16),)

    def function(x: torch.Tensor) -> None:
        calls["function"] += 1

    benchmark: Any = gpu_first.Rounds(disabled=True)
    timing.measure(benchmark, op="op", case="case", implementation="own", function=function, draw=draw, steps=3)
    assert calls == {"draw": 1, "function": 1} and stand_in.captures == 0 and benchmark.seconds == []


def test_outputs_do_not_share_their_memory(stand_in: StandIn) -> None:
    """Else what is written would stay in the cache: the last calls' outputs hold what the inputs do."""
    seen: list[int] = []

    def function(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = torch.empty(64), torch.empty(64)
        seen.append(out[0].data_ptr())
        return out

    gpu.batch_of(function, [drawn()], captured=True)
    places = 2**12 // (2 * 64 * 4)
    assert all(len(set(seen[at : at + places])) == places for at in range(2 * gpu.CALLS_BEFORE, len(seen) - places))


def test_both_sides_of_the_gram_term_of_all_layers_agree() -> None:
    features, references = ([torch.randn(2, 6, 3, 3) for _ in range(8)] for _ in range(2))
    torch.testing.assert_close(gram_loss(features, references), eager_loss_of_layers(features, references))


def test_the_ceilings_of_a_gpu_run() -> None:
    for ceiling in GPU_CEILINGS:
        left, right, out = torch.ones(2, 2), torch.ones(2, 2), torch.empty(2, 2)
        if ceiling.unit == "operations":
            ceiling.function(left, right, out)
            assert (out == 2).all()
    assert torch.get_float32_matmul_precision() == "highest"
    assert [ceiling.unit for ceiling in GPU_CEILINGS] == ["bytes"] * 2 + ["operations"] * 3


def test_every_target_has_its_rows() -> None:
    pytest.importorskip("pytest_benchmark")
    program = """
import sys, pytest, torch
sys.path.pop(0)  # the checkout's stic_fast must not hide the installed one
torch.cuda.is_available = lambda: True
pytest.main(["benchmarks", "--device=cuda", "--collect-only", "-q", "-p", "no:cacheprovider"])
"""
    command = [sys.executable, "-c", program]
    rows = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120).stdout.splitlines()
    suites = {"grmala_step": "test_grmala_step.py", "gram_loss and gradient": "test_gram_loss.py"}
    for op, case, above, below, _, _ in GPU_RATIOS:
        suite = suites.get(op, "test_grmala_chain.py")
        found = [row for row in rows if suite in row]
        assert all(any(row.endswith(f"[{name}-{case}]") for row in found) for name in (above, below)), (op, found)
    assert not any("[reference-" in row or "test_gram_loss_forms" in row for row in rows)


@pytest.mark.parametrize(("device", "left"), [("cpu", ["plain", "cpu", "slow"]), ("cuda", ["plain", "cuda", "slow"])])
@pytest.mark.parametrize("quick", [False, True])
def test_rows_of_the_other_device_are_left_out(device: str, left: list[str], quick: bool) -> None:
    items: list[Any] = [
        SimpleNamespace(name=name, iter_markers=lambda name=name: [SimpleNamespace(name=name)])
        for name in ("plain", "cpu", "cuda", "slow")
    ]
    options = {"--device": device, "--quick": quick, "--reverse": False}
    dropped: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: dropped.extend(items))
    config: Any = SimpleNamespace(getoption=options.__getitem__, hook=hook)
    conftest.pytest_collection_modifyitems(config, items)
    assert [item.name for item in items] == [name for name in left if not (quick and name == "slow")]
    assert len(items) + len(dropped) == 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_one_sentence_where_there_is_no_gpu() -> None:
    pytest.importorskip("pytest_benchmark")
    program = Path(sysconfig.get_path("scripts")) / "pytest"
    command = [str(program), "benchmarks", "--device", "cuda", "-p", "no:cacheprovider"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR
    assert finished.stderr.strip() == (
        "ERROR: --device cuda: PyTorch finds no CUDA device; leave the option out to measure the CPU"
    )
