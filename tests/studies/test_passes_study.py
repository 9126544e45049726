# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study passes`: images of every pass, judged alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import Judge, accuracy, cls_g, nearest_distances
from stic_fast.studies import Judged
from stic_fast.studies.passes import Passes
from stic_fast.training import ImageSampler, Progress, open_run

QUICK: dict[str, Any] = {"n": 40, "judge_iterations": 10}


def test_every_pass_is_judged_by_the_images_of_its_weights(tiny_run: Path) -> None:
    finding = Passes(tiny_run, seed=2, **QUICK).compute(Progress())
    record = finding.record
    assert [each["pass"] for each in record["passes"]] == [1, 2]
    run = open_run(tiny_run, pass_number=1)
    images = ImageSampler(run, 2).of_numbers(torch.arange(40), Progress())
    beside = Judged.of(run, seed=2, **QUICK, progress=Progress())
    scores = beside.scores(images, torch.arange(40) % 10)
    first, test = record["passes"][0], run.splits.test
    assert first["FD-cnn@40"]["value"] == pytest.approx(scores["FD"].value, rel=1e-5)
    assert first["Cls_R-cnn@40"]["value"] == scores["Cls_R"].value
    assert first["nearest"]["value"] == pytest.approx(float(nearest_distances(images, run.splits.train.images).mean()))
    assert first["test accuracy"]["value"] == accuracy(run.model, test.images, test.labels, 10)
    assert record["real"]["FD-cnn@40"]["value"] == pytest.approx(beside.real()["FD"].value, rel=1e-5)
    assert all(each["FD-cnn@40"]["error"] > 0 for each in (*record["passes"], record["real"]))
    assert "Cls_G-cnn@40" not in first and len(finding.figure.axes) == 4
    json.dumps(record, allow_nan=False)


def test_copies_of_training_images_are_seen_as_such(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = open_run(tiny_run).splits.train
    chosen = [int((train.labels == number % 10).nonzero()[number // 10]) for number in range(40)]
    monkeypatch.setattr(ImageSampler, "of_numbers", lambda self, numbers, progress: train.images[chosen])
    record = Passes(tiny_run, **QUICK).compute(Progress()).record
    assert record["passes"][0]["nearest"]["value"] < 0.01 < 1 < record["real"]["nearest"]["value"]


def test_cls_g_learns_from_drawn_images_and_its_floor_from_real_ones(tiny_run: Path) -> None:
    finding = Passes(tiny_run, cls_g=True, **QUICK).compute(Progress())
    run = open_run(tiny_run)
    test, images = run.splits.test, ImageSampler(run, 0).of_numbers(torch.arange(40), Progress())
    settings: dict[str, Any] = {"num_classes": 10, "seed": 0, "iterations": 10}
    wanted = cls_g(images, torch.arange(40) % 10, test.images, test.labels, **settings)
    assert finding.record["passes"][1]["Cls_G-cnn@40"]["value"] == pytest.approx(wanted, abs=0.01)
    rows = torch.randperm(len(run.splits.train), generator=torch.Generator().manual_seed(0))[:40].sort().values
    train = run.splits.train
    wanted = cls_g(train.images[rows], train.labels[rows], test.images, test.labels, **settings)
    assert finding.record["real"]["Cls_G-cnn@40"]["value"] == pytest.approx(wanted, abs=0.01)
    assert len(finding.figure.axes) == 5


def test_a_judge_of_other_classes_leaves_cls_r_out(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Judge((1, 8, 8), 7, generator=torch.Generator().manual_seed(0)).eval()
    monkeypatch.setattr("stic_fast.evaluation.judging.load_judge", lambda *_, **__: other)
    finding = Passes(tiny_run, **QUICK).compute(Progress())
    assert "FD-cnn@40" in finding.record["real"] and "Cls_R-cnn@40" not in finding.record["real"]
    assert len(finding.figure.axes) == 3


def test_a_run_without_a_finished_pass_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(tiny_run, tmp_path / "own"))
    for name in ("pass_001", "pass_002"):
        shutil.rmtree(own / "checkpoints" / name)
    with pytest.raises(InputError, match="checkpoint"):
        Passes(own, **QUICK).compute(Progress())
    with pytest.raises(InputError, match="--n"):
        Passes(tiny_run, n=1).compute(Progress())
