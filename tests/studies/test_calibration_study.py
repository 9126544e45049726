# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study calibration`: every pass's calibration, before and after a temperature."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from stic_fast.errors import InputError
from stic_fast.evaluation import expected_calibration_error, negative_log_likelihood, tempered
from stic_fast.evaluation.judge import predict_logits
from stic_fast.studies.calibration import Calibration
from stic_fast.training import Progress, open_run


def test_every_pass_is_read_by_its_own_weights(tiny_run: Path) -> None:
    finding = Calibration(tiny_run, seed=4).compute(Progress())
    (passes,) = finding.record["runs"].values()
    assert [each["pass"] for each in passes] == [1, 2]
    for each in passes:
        run = open_run(tiny_run, pass_number=each["pass"])
        test = run.splits.test
        logits = predict_logits(run.model, test.images, batch_size=250)
        assert each["n"] == len(test) and each["NLL"] == pytest.approx(negative_log_likelihood(logits, test.labels, 10))
        after = tempered(logits, test.labels, 10, seed=4)
        assert each["NLL-T"] == pytest.approx(negative_log_likelihood(after.logits, test.labels, 10))
        assert each["ECE-T"] == pytest.approx(expected_calibration_error(after.logits, test.labels, 10))
        assert sum(each["reliability_after"]["counts"]) == len(test)
    assert passes[0]["NLL"] != passes[1]["NLL"]
    json.dumps(finding.record, allow_nan=False)


def test_other_runs_stand_beside_it(tiny_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    finding = Calibration(tiny_run, others=str(other), passes=2).compute(Progress())
    mine, theirs = finding.record["runs"].values()
    assert mine == theirs and list(finding.record["runs"]) == [tiny_run.name, "other"]
    assert [axes.get_title(loc="left").split(",")[0] for axes in finding.figure.axes[2:]] == [tiny_run.name, "other"]


def test_a_diverged_run_is_refused_by_pass(tiny_run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(tiny_run, tmp_path / "own"))
    (file,) = (own / "checkpoints" / "pass_002").glob("model*.safetensors")
    weights = load_file(file)
    save_file({name: torch.full_like(weight, torch.nan) for name, weight in weights.items()}, file)
    file.with_name("SHA256SUMS").unlink()
    with pytest.raises(InputError, match="own, pass 2"):
        Calibration(own).compute(Progress())
