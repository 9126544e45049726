# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study gram-layers`: the same chains with other layers compared, and nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import nearest_distances
from stic_fast.models import WideResNet
from stic_fast.models.max_mahalanobis import MaxMahalanobisClassifier
from stic_fast.studies.gram_layers import GramLayers, layer_sets, layers_with_positions
from stic_fast.training import ImageSampler, Progress, open_run

QUICK = {"n": 20, "judge_iterations": 5}


def test_rows_are_drawn_with_their_layers(tiny_run: Path) -> None:
    finding = GramLayers(tiny_run, **QUICK).compute(Progress())
    rows = {row["name"]: row for row in finding.record["rows"]}
    assert list(rows) == ["none", "shallow", "deep (the run's own)", "all"]
    assert rows["shallow"]["layers"] == ["conv1", "conv3"]
    assert rows["deep (the run's own)"]["layers"] == ["conv9", "conv10"] and len(rows["all"]["layers"]) == 7
    assert len({row["nearest"] for row in rows.values()}) == 4, "layers make a difference"
    run = open_run(tiny_run)
    training = run.splits.train.images
    without = run.recipe.with_samplers(eps2=0.0)
    for name, recipe in (("none", without), ("deep (the run's own)", run.recipe)):
        images = ImageSampler(run, 0, recipe=recipe).of_numbers(torch.arange(20), Progress())
        assert rows[name]["nearest"] == pytest.approx(float(nearest_distances(images, training).mean()))
    assert all(row["seconds_per_image"] > 0 for row in rows.values())
    assert {"FD", "Cls_R", "nearest"} <= finding.record["real"].keys()
    assert json.loads(json.dumps(finding.record)) == finding.record


def test_all_rows_start_from_the_same_canvases(tiny_run: Path) -> None:
    rows = GramLayers(tiny_run, steps=0, **QUICK).compute(Progress()).record["rows"]
    assert len({(row["FD"], row["Cls_R"], row["nearest"]) for row in rows}) == 1


def test_a_run_without_gram_term_is_refused(edited_run: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="eps2"):
        GramLayers(edited_run(eps2=0.0), **QUICK).compute(Progress())


def test_sets_that_diverge_have_no_samples(edited_run: Callable[..., Path], huge_steps_diverge: None) -> None:
    finding = GramLayers(edited_run(eps2=3e38), **QUICK).compute(Progress())
    none, *others = finding.record["rows"]
    assert "FD" in none and all(row.keys() == {"name", "layers"} for row in others)
    assert [text.get_text() for text in finding.figure.axes[0].texts] == ["diverged"] * 3


def test_own_layers_that_are_no_third_have_a_row_of_their_own() -> None:
    sets = layer_sets(["a", "b", "c", "d", "e", "f"], own=["d", "b"])
    assert sets["the run's own"] == ("b", "d") and list(sets)[-1] == "the run's own"
    assert (sets["shallow"], sets["deep"]) == (("a", "b"), ("e", "f"))
    assert layer_sets(["a"], own=["a"]) == {"none": (), "shallow (deep, all, the run's own)": ("a",)}


def test_the_thirds_of_the_papers_network() -> None:
    with torch.device("meta"):
        model = WideResNet(depth=28, width=10, num_classes=10)
    sets = layer_sets(model.layer_names, model.gram_layers)
    assert sets["deep (the run's own)"] == tuple(f"conv{number}" for number in range(21, 29))


def test_layers_without_positions_have_no_gram_matrix(tiny_run: Path) -> None:
    network = WideResNet(depth=10, width=1, num_classes=12, in_channels=1, fake_class=False)
    run = replace(open_run(tiny_run), model=MaxMahalanobisClassifier(network, num_classes=10))
    assert run.model.layer_names[-1] == "embedding"
    assert layers_with_positions(run) == network.layer_names
