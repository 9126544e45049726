# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The report's tables say what the results say."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.results import Row, Run
from benchmarks.tables import (
    caption,
    ceiling_table,
    first_run_table,
    flat_extent,
    form_table,
    memory_tables,
    op_table,
    op_tables,
    rate,
    scaling_table,
    sentence,
    thread_table,
)

MACHINE = {"cpu": "Some CPU", "cores": 2, "threads": 1, "torch": "2.13.0", "version": "0.1.0"} | {
    "isa": "avx512",
    "compiler": "GNU 12",
    "date": "2026-01-02",
}


def row(op: str = "op", case: str = "shape", threads: int = 2, facts: dict[str, Any] | None = None, **s: float) -> Row:
    seconds = {name.replace("_", " ").replace("stic fast", "stic_fast"): {0: value} for name, value in s.items()}
    return Row(op, case, threads, seconds, facts or {})


@pytest.mark.parametrize(
    ("load", "other", "busy"),
    [
        (0.0, 0.0, False),
        (3.0, 0.0, False),
        (0.0, 0.5, True),
        (3.0, None, True),
        (0.2, None, False),
        (None, None, False),
    ],
)
def test_busy_machine_is_flagged(load: float | None, other: float | None, busy: bool) -> None:
    """What else ran during the run decides; a load average, which remembers the run before, only without it."""
    text = sentence({**MACHINE, "load_before": load, "other_work": other})
    assert text.startswith("Some CPU, 2 cores, 1 thread; stic_fast 0.1.0 (avx512, GNU 12), PyTorch 2.13.0; 2026-01-02")
    assert ("do not trust" in text) is busy


def test_a_gpu_is_named_first() -> None:
    text = sentence({**MACHINE, "gpu": "Some GPU, 132 multiprocessors", "load_before": 0.0, "other_work": 0.0})
    assert text.startswith("Some GPU, 132 multiprocessors; Some CPU, 2 cores")
    run = Run({**MACHINE, "gpu": "Some GPU", "other_work": 0.0}, [], [])
    assert caption([run]) == "Some GPU, PyTorch 2.13.0"


@pytest.mark.parametrize(("other", "busy"), [(0.9, False), (1.1, True)])
def test_a_gpu_leaves_the_cpu_to_others(other: float, busy: bool) -> None:
    """Suites that were run one by one are then of one machine."""
    machine = {**MACHINE, "gpu": "Some GPU", "other_work": other}
    first, second = (sentence({**machine, "load_before": load}) for load in (0.0, 9.0))
    assert first == second and ("do not trust" in first) is busy


def test_a_gpus_rows_need_no_threads() -> None:
    text = op_tables([row(threads=0, stic_fast=4.0), row(threads=16, stic_fast=2.0)])
    assert "4.00 s" in text and "2.00 s" not in text
    scaling = scaling_table([row(op="grmala_step_ by size", threads=0, facts={"elements": 10**8}, stic_fast=4e-4)])
    assert "| 100,000,000 | GPU | 4.00 ps |" in scaling and "elements on GPU." in scaling
    assert "|  | GPU |" in ceiling_table([row(op="ceiling", threads=0, facts={"bytes": 3e9}, measured=1e-3)])
    assert thread_table([row(threads=0, stic_fast=4.0)]) == ""


def test_op_table_has_medians_and_ratios() -> None:
    lines = op_table([row(stic_fast=0.001, eager=0.02, without_noise=0.0005, facts={"bytes": 4e6})]).split("\n")
    names = ["shape", "stic_fast", "eager", "without noise", "eager / stic_fast", "stic_fast / without noise", "rate"]
    assert lines[0] == f"| {' | '.join(names)} |"
    assert lines[2] == "| shape | 1.00 ms | 20.0 ms | 500 µs | 20.0x | 2.00x | 4.00 GB/s |"


def test_op_table_leaves_a_gap_where_nothing_was_measured() -> None:
    lines = op_table([row(stic_fast=0.001, eager=0.02), row(case="other", stic_fast=0.001)]).split("\n")
    assert lines[3] == "| other | 1.00 ms |  |  |"


def test_op_table_holds_variants_against_eager() -> None:
    table = op_table([row(stic_fast=1.0, stic_fast_bf16=0.5, eager=2.0)])
    assert "| eager / stic_fast | eager / stic_fast bf16 |" in table and "| 2.00x | 4.00x |" in table


def test_op_tables_show_the_most_threads_once() -> None:
    text = op_tables([row(threads=1, stic_fast=4.0), row(threads=2, stic_fast=2.0), row(op="ceiling", measured=1.0)])
    assert "2.00 s" in text and "4.00 s" not in text and "ceiling" not in text


def test_thread_table() -> None:
    assert "| `op` shape | 4.00 s | 2.50 s | 1.60x |" in thread_table(
        [row(threads=1, stic_fast=4.0), row(threads=2, stic_fast=2.5)]
    )
    assert thread_table([row(stic_fast=1.0)]) == ""


def test_first_runs_stand_beside_later_ones() -> None:
    chain = row("chain", "net", 0, stic_fast=0.025, eager=0.2)
    chain.first_runs["stic_fast"] = {0: 0.5, 1: 0.7}
    table = first_run_table([row(stic_fast=1.0), chain])
    assert table.splitlines()[2:] == ["| `chain` net | stic_fast | 600 ms | 25.0 ms |"]
    assert first_run_table([row(stic_fast=1.0)]) == ""


def test_rate_counts_operations_before_bytes() -> None:
    assert rate(row(stic_fast=0.5, facts={"operations": 1e12, "bytes": 1.0})) == "2000 GFLOP/s"
    assert rate(row(eager=0.5, facts={"bytes": 1.0})) == "" and rate(row(stic_fast=1.0)) == ""


def sizes(*nanoseconds: float) -> list[Row]:
    """Rows of a thousand elements and its multiples by ten, with so many nanoseconds per element."""
    return [
        row(
            op="grmala_step_ by size",
            case=str(power),
            stic_fast=each * 1e-9 * 10**power,
            facts={"elements": 10**power},
        )
        for power, each in enumerate(nanoseconds, 3)
    ]


@pytest.mark.parametrize(
    ("nanoseconds", "extent"),
    [
        ((30, 3, 1.2, 1.0, 1.1, 1.4), (10**5, 10**8)),
        ((0.9, 1.6, 1.0, 1.4), (10**3, 10**3)),
        ((2.0, 1.6, 1.0), (10**5, 10**5)),
    ],
)
def test_flat_extent_surrounds_the_least(nanoseconds: tuple[float, ...], extent: tuple[int, int]) -> None:
    assert flat_extent(sizes(*nanoseconds)) == extent


def test_scaling_table_in_nanoseconds_per_element() -> None:
    text = scaling_table(sizes(5.0, 1.0))
    assert "| 1,000 | 2 | 5.00 ns |" in text
    assert "within 1.5x of its least from 10,000 to 10,000 elements on 2 threads." in text


@pytest.mark.parametrize(("chosen", "flag"), [("dual", False), ("primal", True)])
def test_form_table_flags_a_bad_choice(chosen: str, flag: bool) -> None:
    text = form_table([row(op="gram_loss by form", primal=1.2, dual=1.0, facts={"chosen": chosen})])
    assert ("**over 1.1x**" in text) is flag and ("1.20x" in text) is flag


def test_memory_tables() -> None:
    losses = [
        {"kind": "gram_loss", "case": "(1, 2)", "implementation": name, "peak": 0, "extra": extra, "inputs": 2_000_000}
        for name, extra in (("stic_fast", 3_000_000), ("eager", 30_000_000))
    ]
    runs = [
        {"kind": "sampling", "case": "net", "batch": batch, "steps": 2, "peak": peak, "weights": 9_000_000}
        for batch, peak in ((4, 50_000_000), (1, 20_000_000))
    ]
    text = memory_tables([*losses, *runs])
    assert "| (1, 2) | 2.00 MB | 3.00 MB | 30.0 MB |" in text and "| net | 4 | 2 | 9.00 MB | 50.0 MB |" in text
    assert text.endswith("net: 10.0 MB per chain from batch 1 to 4.")
    assert memory_tables([]) == ""
