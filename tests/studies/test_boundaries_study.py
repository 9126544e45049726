# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study boundaries`: what the classifier's head reads, and numbers that t-SNE has no part in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from stic_fast.errors import InputError
from stic_fast.models import WideResNet
from stic_fast.models.max_mahalanobis import MaxMahalanobisClassifier
from stic_fast.pixels import to_unit
from stic_fast.studies.boundaries import Boundaries, compactness, embedded, last_features, share_among_own
from stic_fast.training import Progress, open_run


def test_the_features_are_what_the_head_reads(tiny_run: Path) -> None:
    run = open_run(tiny_run)
    images = run.splits.test.images[:7]
    features = last_features(run.model, images, batch_size=3)
    assert isinstance(run.model, WideResNet) and features.shape == (7, 64)
    with torch.no_grad():
        logits = run.model(to_unit(images))
        torch.testing.assert_close(run.model.head(features), logits)


def test_a_layer_without_positions_is_read_as_it_is() -> None:
    network = WideResNet(depth=10, width=1, num_classes=12, in_channels=1, fake_class=False)
    model = MaxMahalanobisClassifier(network, num_classes=10)
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(last_features(model, images), network(to_unit(images)))


def test_numbers_and_points_are_those_of_the_classes_shown(tiny_run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_run, tmp_path / "other"))
    finding = Boundaries(tiny_run, baseline=other, n=9, real=40, classes=4).compute(Progress())
    assert finding.record["classes"] == ["0", "1", "2", "3"] and finding.record["n_real"] == 40
    one, two = finding.record["runs"]
    assert (one.pop("name"), two.pop("name")) == ("run", "other")
    assert one == two, "copies of a run are mapped alike"
    assert [point[2] for point in one["drawn"]] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert len(one["real"]) == 40 and {point[2] for point in one["real"]} == {0, 1, 2, 3}
    assert -1 <= one["silhouette"] <= 1 and 0 <= one["drawn_among_own"] <= 1
    left, right = finding.figure.axes
    assert left.get_title(loc="left").startswith("run") and right.get_title(loc="left").startswith("other")
    assert f"{one['silhouette']:.2f}" in left.get_xlabel()
    assert json.loads(json.dumps(finding.record)) == finding.record


def test_classes_far_apart_are_compact() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    noise = torch.randn(60, 4, generator=generator)
    apart = compactness(noise + 30.0 * nn.functional.one_hot(labels, 4), labels)
    assert apart > 0.85 > 0.1 > compactness(noise, labels)


def test_features_much_alike_are_still_told_apart() -> None:
    labels = torch.arange(60) % 3
    alike = (100 * torch.randn(64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).expand(60, -1)
    assert compactness(alike, labels) == 0
    assert compactness(alike + 1e-6 * nn.functional.one_hot(labels, 64), labels) == pytest.approx(1)


def test_a_share_counts_most_of_the_five_nearest() -> None:
    real = torch.tensor([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0]])
    labels = torch.tensor([0, 0, 1, 1, 1, 0])
    point = torch.tensor([[0.2]])
    assert share_among_own(point, torch.tensor([1]), real, labels) == 1.0
    assert share_among_own(point, torch.tensor([0]), real, labels) == 0.0
    assert share_among_own(real, labels, real, labels) == pytest.approx(3 / 6)
    assert share_among_own(real, labels, real, labels, leave_out_self=True) == 0.0


def test_the_map_depends_on_the_seed_alone() -> None:
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    first = embedded(features, seed=1)
    assert first.shape == (40, 2) and torch.equal(first, embedded(features, seed=1))


def test_too_little_to_map_is_refused(tiny_run: Path) -> None:
    with pytest.raises(InputError, match="--classes"):
        Boundaries(tiny_run, classes=11).compute(Progress())
    with pytest.raises(InputError, match="--real"):
        Boundaries(tiny_run, real=5).compute(Progress())
