# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A target counts as reached exactly where the measurements say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import Ratio, Row, load, merge
from benchmarks.targets import Verdict, target_table, verdicts


@pytest.mark.parametrize(
    ("sign", "bound", "median", "outcome"),
    [
        (">=", 20.0, 20.0, "reached"),
        (">=", 20.0, 19.9, "**missed**"),
        ("<=", 1.3, 1.3, "reached"),
        ("<=", 1.3, 1.31, "**missed**"),
    ],
)
def test_bounds_include_themselves(sign: str, bound: float, median: float, outcome: str) -> None:
    assert Verdict("op", sign, bound, Ratio(median, median, median)).outcome == outcome


def test_verdicts_of_a_run(tmp_path: Path, measured: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(measured))
    found = {verdict.what: verdict for verdict in verdicts(merge(load(path)))}
    outcome = {what: verdict.outcome for what, verdict in found.items()}
    assert outcome["`grmala_step` (64, 3, 32, 32) float32: eager / stic_fast"] == "reached"
    assert outcome["`grmala_step` (64, 3, 32, 32) float32: torch.compile / stic_fast"] == "**missed**"
    assert outcome["`grmala_step` (64, 3, 224, 224) float32: stic_fast / without noise"] == "reached"
    assert sum(text == "not measured" for text in outcome.values()) == 4  # no gram_loss in this run
    chain = "`one step of GRMALA` (4, 3, 32, 32) float32, WRN-28-10: eager / stic_fast bf16"
    assert outcome[chain] == "reached" and found[chain].measured == (3.0, 3.0, 3.0)
    assert outcome["time per element, 100,000 to 100,000,000, greatest / least, 2 threads"] == "reached"
    assert outcome["`gram_loss`: form chosen / better form, worst shape"] == "**missed**"


LAYERS = "(64, 640, 8, 8) float32, 8 layers in one call"


def on_gpu(op: str, case: str, **seconds: float) -> Row:
    return Row(op, case, 0, {name: {0: median} for name, median in seconds.items()})


def test_a_gpu_has_targets_of_its_own() -> None:
    rows = [
        on_gpu("grmala_step", "(256, 3, 224, 224) float32", stic_fast=2.0e-4, copy=1.8e-4),
        on_gpu("gram_loss and gradient", LAYERS, stic_fast=2e-4, eager=5e-3),
        on_gpu("one step of GRMALA", "(64, 3, 32, 32) float32, WRN-28-10, 8 Gram layers", stic_fast=5e-3, eager=29e-3),
    ]
    assert [
        (verdict.measured and round(verdict.measured.median, 3), verdict.outcome) for verdict in verdicts(rows)
    ] == [
        (0.9, "reached"),
        (25.0, "reached"),
        (None, "not measured"),
        (5.8, "**missed**"),
    ]
    table = target_table(rows)
    assert "| `grmala_step` (256, 3, 224, 224) float32: copy / stic_fast | ≥ 0.85x | 0.90x | reached |" in table
    assert "(64, 3, 32, 32) float32: eager" not in table, "a CPU's targets are not a GPU's"


def test_both_devices_of_a_page_have_their_targets() -> None:
    cpu = Row("grmala_step", "(64, 3, 224, 224) float32", 2, {"stic_fast": {0: 1.2}, "without noise": {0: 1.0}})
    gpu = on_gpu("grmala_step", "(64, 3, 224, 224) float32", stic_fast=9.0, copy=1.0)
    found = [verdict for verdict in verdicts([cpu, gpu]) if verdict.measured]
    assert len(verdicts([cpu, gpu])) == len(verdicts([cpu])) + len(verdicts([gpu]))
    assert [verdict.measured for verdict in found] == [(1.2, 1.2, 1.2)]


def test_flatness_needs_both_ends() -> None:
    row = Row("grmala_step_ by size", "shape", 1, {"stic_fast": {0: 1.0}}, {"elements": 10**5})
    (flat,) = (verdict for verdict in verdicts([row]) if verdict.what.startswith("time per element"))
    assert flat.outcome == "not measured"


def test_nothing_measured_is_said_of_every_target() -> None:
    assert {verdict.outcome for verdict in verdicts([])} == {"not measured"}
    assert "| `grmala_step` (64, 3, 32, 32) float32: eager / stic_fast | ≥ 20.0x |  | not measured |" in target_table(
        []
    )
