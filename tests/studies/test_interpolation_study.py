# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study interpolation`: paths from one class to another, beside another run or a mix of pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.pixels import to_unit
from stic_fast.studies import Judged
from stic_fast.studies.drawing_with import mixed_pixels
from stic_fast.studies.interpolation import Interpolation
from stic_fast.training import ImageSampler, Progress, open_run

QUICK: dict[str, Any] = {"start": "3", "to": "8", "n": 4, "frames": 5, "judge_iterations": 30}


def test_curves_are_the_judges_reading_of_the_frames(tiny_run: Path) -> None:
    record = Interpolation(tiny_run, seed=1, **QUICK).compute(Progress()).record
    run = open_run(tiny_run)
    images = ImageSampler(run, 1).of_paths(3, 8, 4, [0.0, 0.25, 0.5, 0.75, 1.0], Progress())
    judged = Judged.of(run, n=20, seed=1, judge_iterations=30, progress=Progress())
    p = judged.probabilities(images).view(4, 5, 10)
    found = record["runs"]["run"]
    torch.testing.assert_close(torch.tensor(found["either"]["mean"]), (p[..., 3] + p[..., 8]).mean(0))
    torch.testing.assert_close(torch.tensor(found["second"]["mean"]), (p[..., 8] / (p[..., 3] + p[..., 8])).mean(0))
    x = to_unit(images).view(4, 5, 64)
    torch.testing.assert_close(torch.tensor(found["step"]["mean"]), (x[:, 1:] - x[:, :-1]).norm(dim=2).mean(0))
    assert record["shares"] == [0.0, 0.25, 0.5, 0.75, 1.0] and (record["from"], record["to"]) == ("3", "8")
    test = run.splits.test
    real = judged.probabilities(test.images[(test.labels == 3) | (test.labels == 8)])
    assert record["real"]["either"] == pytest.approx(float((real[:, 3] + real[:, 8]).mean()))
    json.dumps(record, allow_nan=False)


def test_the_same_weights_give_the_same_paths(tiny_run: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(tiny_run, tmp_path / "copy"))
    finding = Interpolation(tiny_run, baseline=copied, **QUICK).compute(Progress())
    runs = finding.record["runs"]
    assert list(runs) == ["run", "copy"] and runs["run"] == runs["copy"]
    assert [axes.get_ylabel() for axes in finding.figure.axes[:2]] == ["run", "copy"]


def test_without_a_baseline_real_images_are_mixed(tiny_run: Path) -> None:
    study, run = Interpolation(tiny_run, **QUICK), open_run(tiny_run)
    frames = mixed_pixels(run, (3, 8), 4, [0.0, 0.5, 1.0], seed=0).view(4, 3, 64)
    train = run.splits.train
    for place, label in ((0, 3), (2, 8)):
        real = train.images[train.labels == label].flatten(1)
        assert all((real == path[place]).all(1).any() for path in frames), "an end is a real image of its class"
    middle = (frames[:, 0].int() + frames[:, 2].int()) / 2
    assert float((frames[:, 1].float() - middle).abs().max()) <= 0.51
    record = study.compute(Progress()).record
    steps = record["runs"]["real images, pixels mixed"]["step"]["mean"]
    assert steps == pytest.approx([sum(steps) / 4] * 4, rel=0.01)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "3"}, "--from and --to"),
        ({"start": "dog"}, "'dog'"),
        ({"frames": 1}, "--frames"),
        ({"n": 0}, "--n"),
        ({"baseline": Path("nowhere")}, "nowhere"),
    ],
)
def test_options_that_cannot_be_used_are_refused(tiny_run: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Interpolation(tiny_run, **{**QUICK, **options}).compute(Progress())
