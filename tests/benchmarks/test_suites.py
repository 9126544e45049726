# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What the suites are made of: rows, rivals that do the same work, counts of operations, and memory that is seen."""

from __future__ import annotations

import doctest
import importlib
import math
import subprocess
import sysconfig
import warnings
from pathlib import Path

import pytest
import torch

from benchmarks.gram_cases import eager_gram, eager_gram_loss
from benchmarks.gram_products import operations, products
from benchmarks.langevin_rivals import eager, eager_in_place, torchebm_step
from benchmarks.memory import requests
from benchmarks.memory_probe import CLEAR, peak_of
from benchmarks.results import load
from benchmarks.row_names import COMPILED, REFERENCE
from benchmarks.timing import COMPILER_WARNINGS, Case, rows
from stic_fast import gram_loss, grmala_step

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["timing", "wording", "gram_products", "gpu"])
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"benchmarks.{name}"), extraglobs={"torch": torch})
    assert result.attempted and not result.failed


def test_rows_mark_what_quick_leaves_out_and_drop_large_references() -> None:
    found = rows(("stic_fast", REFERENCE, COMPILED), (Case((2, 3)), Case((2**21,), marker="slow")))
    names = {row.id: [mark.name for mark in row.marks] for row in found}
    assert names == {
        "stic_fast-(2, 3) float32": [],
        "reference-(2, 3) float32": ["cpu"],
        "torch.compile-(2, 3) float32": ["compile", "filterwarnings"],
        "stic_fast-(2097152,) float32": ["slow"],
        "torch.compile-(2097152,) float32": ["slow", "compile", "filterwarnings"],
    }


@pytest.mark.filterwarnings(*COMPILER_WARNINGS)
def test_advice_of_the_compiler_fails_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU it advises TF32 for float32, in its own words; here a warning is an error."""
    from torch._inductor import compile_fx

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert torch.get_float32_matmul_precision() == "highest"
    advise = getattr(compile_fx._warn_tf32_disabled, "__wrapped__", compile_fx._warn_tf32_disabled)
    advise()
    with pytest.raises(UserWarning, match="TensorFloat32"), warnings.catch_warnings():
        warnings.simplefilter("error")
        advise()


def test_rows_of_the_compiler_leave_its_advice_out() -> None:
    (row,) = rows((COMPILED,), (Case((2, 3)),))
    assert [mark.args for mark in row.marks if mark.name == "filterwarnings"] == [COMPILER_WARNINGS]


def test_eager_updates_do_what_grmala_step_does() -> None:
    x, uphill, downhill = torch.randn(3, 4, 5)
    expected = grmala_step(x, uphill, downhill, eps1=0.5, eps2=0.25, eps3=0.0, seed=0, step=0)
    torch.testing.assert_close(eager(x, uphill, downhill, 0.5, 0.25, 0.0), expected)
    torch.testing.assert_close(eager_in_place(x, uphill, downhill, 0.5, 0.25, 0.0), expected)


def test_torchebm_step_moves_by_eps1_and_its_noise_is_eps3_wide() -> None:
    pytest.importorskip("torchebm")
    torch.manual_seed(0)
    moved = torchebm_step(torch.float32, 0.5, 0.01)(torch.zeros(100, 1000), torch.full((100, 1000), 0.2))
    assert moved.mean().item() == pytest.approx(-0.1, abs=1e-4)
    assert moved.std().item() == pytest.approx(0.01, rel=0.02)


def test_eager_gram_loss_is_the_same_loss() -> None:
    features, reference = torch.randn(2, 3, 6, 4, 4)
    torch.testing.assert_close(eager_gram_loss(features, eager_gram(reference)), gram_loss(features, reference))


@pytest.mark.parametrize(("channels", "size", "reference_size"), [(4, 9, 16), (9, 4, 6), (5, 5, 5)])
def test_products_are_as_many_as_counted(channels: int, size: int, reference_size: int) -> None:
    """torch's own count of the products of the cheaper form."""
    from torch.utils.flop_counter import FlopCounterMode

    features, reference = torch.randn(3, channels, size), torch.randn(3, channels, reference_size)
    run = products(features, reference)
    with FlopCounterMode(display=False) as counter:
        run(features, reference)
    assert counter.get_total_flops() == operations(3, channels, size, reference_size)


def test_a_kept_target_saves_its_own_product() -> None:
    saved = operations(2, 640, 64, 32) - operations(2, 640, 64, 32, target_kept=True)
    assert saved == 2 * 2 * 640 * 32**2


@pytest.mark.skipif(not CLEAR.exists(), reason="the peak is read from /proc")
def test_peak_sees_what_is_freed_again() -> None:
    def touch() -> None:
        torch.ones(25, 10**6)  # 100 MB, gone when the call returns

    assert 95e6 < peak_of(touch) < 115e6
    assert peak_of(lambda: None) < 10e6


def test_memory_requests_cover_both_networks() -> None:
    sampling = [request for label, request in requests() if label["kind"] == "sampling"]
    assert {(request["depth"], request["width"]) for request in sampling} == {(10, 1), (28, 10)}
    assert all(math.prod(request["shape"]) > 0 for request in sampling)


def test_a_row_runs_and_its_result_is_read(tmp_path: Path) -> None:
    """From outside, as a user runs it: the options, the labels and the machine without its name."""
    pytest.importorskip("pytest_benchmark")
    program, result = Path(sysconfig.get_path("scripts")) / "pytest", tmp_path / "run.json"
    row = "test_metropolis_accept[stic_fast-(100, 1, 8, 8) float32]"
    command = [str(program), f"benchmarks/test_metropolis_accept.py::{row}", "-p", "no:cacheprovider"]
    command += ["--quick", "--reverse", "--benchmark-max-time=0.01", f"--benchmark-json={result}"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Median" in finished.stdout and "OPS" not in finished.stdout.split("Legend")[0]
    assert '"node"' not in result.read_text()
    (run,) = load(result)
    assert {"cpu", "isa", "load_before", "other_work"} <= run.machine.keys()
    (timing,) = run.timings
    assert (timing.op, timing.implementation) == ("metropolis_accept", "stic_fast") and timing.median > 0
    assert timing.facts == {"elements": 6400, "bytes": 5 * 6400 * 4}
