# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Results are read, slimmed and merged without changing a number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import Run, Timing, load, merge, save


def run(**medians: float) -> Run:
    """A run of one op, its medians by implementation."""
    timings = [Timing("op", "case", name, 2, median, iqr=0.0, rounds=5) for name, median in medians.items()]
    return Run({}, timings, [])


def test_reads_what_pytest_benchmark_wrote(tmp_path: Path, measured: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(measured))
    ((machine, timings, memory),) = load(path)
    assert machine["cpu"] == "Some CPU" and machine["commit"] == "0123456789 with changes"
    assert memory == [] and len(timings) == len(measured["benchmarks"])
    assert timings[0] == Timing(
        "grmala_step", "(64, 3, 32, 32) float32", "stic_fast", 2, 1e-4, 1e-5, 7, {"bytes": 3_145_728}
    )


def test_slim_form_keeps_everything_but_the_rounds(tmp_path: Path, measured: dict[str, Any]) -> None:
    full, slim = tmp_path / "full.json", tmp_path / "slim.json"
    full.write_text(json.dumps(measured))
    runs = [*load(full), Run({"cpu": "other"}, [], [{"kind": "sampling", "peak": 5}])]
    save(slim, runs)
    assert load(slim) == runs
    assert '"data"' not in slim.read_text()


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"machine_info": {}}', '{"format": "stic_fast benchmarks 1", "runs": [{}]}']
)
def test_names_the_file_that_is_no_result(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json is not a result of these suites; make one with"):
        load(path)


def test_names_the_file_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.json cannot be read \(No such file"):
        load(tmp_path / "absent.json")


def test_ratios_are_taken_within_a_run() -> None:
    """The second run is on a machine half as fast: medians differ, ratios do not."""
    (row,) = merge([run(stic_fast=1.0, eager=3.0), run(stic_fast=2.0, eager=6.0), run(stic_fast=1.0, eager=5.0)])
    assert row.ratio("eager", "stic_fast") == (3.0, 3.0, 5.0)
    assert row.median("stic_fast") == 1.0 and row.median("eager") == 5.0


def test_first_runs_are_facts_of_an_implementation() -> None:
    timings = [
        Timing("op", "case", name, 0, 1.0, 0.0, 5, {"first_run": first, "bytes": 8})
        for name, first in (("stic_fast", 3.0), ("eager", 2.0))
    ]
    (row,) = merge([Run({}, timings, []), run(torchebm=1.0)])[:1]
    assert row.first_run("stic_fast") == 3.0 and row.first_run("eager") == 2.0 and row.first_run("torchebm") is None
    assert row.facts == {"bytes": 8} and timings[0].facts["first_run"] == 3.0


def test_no_ratio_across_runs() -> None:
    (row,) = merge([run(stic_fast=1.0), run(eager=6.0)])
    assert row.ratio("eager", "stic_fast") is None and row.median("torchebm") is None


def test_thread_counts_stay_apart() -> None:
    one = Run({}, [Timing("op", "case", "stic_fast", 1, 4.0, 0.0, 5)], [])
    assert [row.threads for row in merge([run(stic_fast=2.0), one])] == [2, 1]
