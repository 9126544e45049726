# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study step-sizes`: every pair of step sizes in its cell, and chains that diverge in theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.studies import Judged
from stic_fast.studies.step_sizes import StepSizes
from stic_fast.training import ImageSampler, Progress, open_run

QUICK = {"n": 20, "judge_iterations": 5}


def test_cells_hold_the_scores_of_their_steps(edited_run: Callable[..., Path]) -> None:
    path = edited_run(eps1=0.5, eps2=2.0)
    finding = StepSizes(path, eps1=(2.0, 1.0), eps2=(0.0, 1.0, 1.0), **QUICK).compute(Progress())
    record = finding.record
    assert (record["eps1"], record["eps2"]) == ([0.5, 1.0], [0.0, 2.0])
    assert record["own"] == {"eps1": 0.5, "eps2": 2.0}
    distance, right = record["scores"]
    assert (distance["name"], right["name"]) == ("FD-cnn@20", "Cls_R-cnn@20")

    judged = Judged.of(open_run(path), n=20, seed=0, judge_iterations=5, progress=Progress())
    others = {(1, 0): (0.5, 2.0), (0, 1): (1.0, 0.0)}
    for (row, column), (eps1, eps2) in others.items():
        run = open_run(edit(path, eps1, eps2))
        images = ImageSampler(run, 0).of_numbers(torch.arange(20), Progress())
        wanted = judged.scores(images, torch.arange(20) % 10)
        assert distance["values"][row][column] == pytest.approx(wanted["FD"].value, rel=1e-6)
        assert right["values"][row][column] == wanted["Cls_R"].value
    assert distance["real"] == judged.real()["FD"].value and distance["noise"] == judged.noise()["FD"].value
    lowest = min(min(row) for row in distance["values"])
    best = distance["values"][record["eps2"].index(distance["best"]["eps2"])]
    assert best[record["eps1"].index(distance["best"]["eps1"])] == lowest
    assert json.loads(json.dumps(record)) == record


def edit(path: Path, eps1: float, eps2: float) -> Path:
    plain = json.loads((path / "config.json").read_text())
    plain["settings"]["sampler"].update(eps1=eps1, eps2=eps2)
    (path / "config.json").write_text(json.dumps(plain))
    (path / "SHA256SUMS").unlink(missing_ok=True)
    return path


def test_a_chain_that_diverges_leaves_its_cell_empty(tiny_run: Path, huge_steps_diverge: None) -> None:
    finding = StepSizes(tiny_run, eps1=(1.0, 3e38), eps2=(1.0,), **QUICK).compute(Progress())
    for part in finding.record["scores"]:
        ((own, diverged),) = part["values"]
        assert own is not None and diverged is None
        assert part["best"] == {"eps1": 0.95, "eps2": 0.95}
    assert "diverged" in {text.get_text() for text in finding.figure.axes[0].texts}
    everywhere = StepSizes(tiny_run, eps1=(3e38,), eps2=(1.0,), **QUICK).compute(Progress())
    assert [part["best"] for part in everywhere.record["scores"]] == [None, None]


def test_a_run_without_gram_term_has_one_row(edited_run: Callable[..., Path]) -> None:
    finding = StepSizes(edited_run(eps2=0.0), eps1=(0.5, 1.0), **QUICK).compute(Progress())
    assert finding.record["eps2"] == [0.0] and len(finding.record["scores"][0]["values"]) == 1


@pytest.mark.parametrize("multiples", [(), (1.0, -1.0), (float("nan"),), (float("inf"),)])
def test_multiples_out_of_range_are_refused(tiny_run: Path, multiples: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="--eps2"):
        StepSizes(tiny_run, eps2=multiples, **QUICK).compute(Progress())
