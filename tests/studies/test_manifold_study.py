# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study manifold`: a line for each canvas, each other run and real images, each with the right numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from stic_fast.evaluation import manifold_scores, read_images
from stic_fast.sampling import PixelSpace
from stic_fast.studies import Judged
from stic_fast.studies.manifold import Manifold
from stic_fast.training import ImageSampler, Progress, open_run


def test_lines_are_those_of_the_sets(tiny_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    finding = Manifold(tiny_run, others=str(other), n=24, judge_iterations=5, seed=3).compute(Progress())
    sweeps = finding.record["sweeps"]
    canvases = [f"run, {canvas} canvas" for canvas in ("uniform", "normal", "blank")]
    assert list(sweeps) == [*canvases, "other, uniform canvas", "real"]
    assert sweeps["other, uniform canvas"] == sweeps["run, uniform canvas"], "copies of a run draw the same"
    assert [row["k"] for row in sweeps["real"]] == list(range(1, 11))

    run = open_run(tiny_run)
    judged = Judged.of(run, n=24, seed=3, judge_iterations=5, progress=Progress())
    image_sampler = ImageSampler(run, 3, recipe=replace(run.recipe, space=PixelSpace(canvas="blank")))
    images = image_sampler.of_numbers(torch.arange(24), Progress())
    features = read_images(judged.judge, images, keep_features=True).features
    assert features is not None
    (wanted,) = manifold_scores(judged.reference.some, features, [3])
    row = sweeps["run, blank canvas"][2]
    assert (row["precision"], row["recall"]) == (wanted.precision, wanted.recall)
    assert (row["density"], row["coverage"]) == (wanted.density, wanted.coverage)
    assert json.loads(json.dumps(finding.record)) == finding.record


def test_sets_are_no_larger_than_the_real_one(tiny_run: Path) -> None:
    finding = Manifold(tiny_run, n=5000, steps=0, judge_iterations=2).compute(Progress())
    assert finding.record["n"] == len(open_run(tiny_run).splits.test) < 5000
    assert f"{finding.record['n']} images in each set" in finding.figure.legends[0].get_title().get_text()


def test_few_images_have_few_neighbours(tiny_run: Path) -> None:
    finding = Manifold(tiny_run, n=4, judge_iterations=2).compute(Progress())
    assert [row["k"] for row in finding.record["sweeps"]["real"]] == [1, 2, 3]
