# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What few labels learn on features: what is read, that good features win, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import max_pool2d

from stic_fast.errors import InputError
from stic_fast.models import Discriminator, ScoreUNet
from stic_fast.pixels import to_unit
from stic_fast.studies.features import Features, features_figure, features_of, layers_read
from stic_fast.training import IgmConfig, Progress, open_run, train
from stic_fast.training.config import DiscriminatorConfig
from stic_fast.training.igm import NegativesConfig, PatchConfig


@pytest.fixture(scope="module")
def igm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round of IGM on the digits, which sees no labels."""
    config = IgmConfig(
        data="digits",
        passes=1,
        iterations=3,
        batch_size=8,
        network=DiscriminatorConfig(channels=(8, 16), whole="on"),
        patches=PatchConfig(side=None),
        negatives=NegativesConfig(chains=10),
        sampler=replace(IgmConfig().sampler, steps=2),
    )
    return train(config, tmp_path_factory.mktemp("igm") / "igm").folder.path


def test_the_last_convolutions_are_read_on_a_grid(igm: Path) -> None:
    assert layers_read(Discriminator()) == ("conv2", "conv3", "conv4")
    assert layers_read(ScoreUNet(channels=(8, 16), num_classes=10))[-2:] == ("middle.first", "middle.second")
    run = open_run(igm)
    images = run.splits.test.images[:5]
    found = torch.from_numpy(features_of(run.model, ["conv1", "conv2"], images, 2))
    maps = run.model.logits_and_features(to_unit(images), ["conv1", "conv2"])[1]
    assert [tuple(each.shape[1:]) for each in maps] == [(8, 4, 4), (16, 2, 2)]
    expected = torch.cat([each.detach().flatten(1) for each in maps], 1)
    torch.testing.assert_close(found, expected, msg="no larger than the grid: all of it")
    wide = Discriminator(channels=(4,), in_channels=1, whole=16).eval()
    larger = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    pooled = max_pool2d(wide.logits_and_features(to_unit(larger), ["conv1"])[1][0], 2).detach().flatten(1)
    torch.testing.assert_close(torch.from_numpy(features_of(wide, ["conv1"], larger, 9)), pooled)


def test_errors_are_those_of_svms_on_test_images(igm: Path, tiny_run: Path) -> None:
    study = Features(igm, others=str(tiny_run), labels=200, draws=3)
    found = study.compute(Progress()).record
    assert list(found["features"]) == ["igm", tiny_run.name, "igm, untrained", "raw pixels"]
    assert found == study.compute(Progress()).record, "by the seed"
    pixels = found["features"]["raw pixels"]
    assert pixels["dimensions"] == 64 and pixels["layers"] == [] and len(set(pixels["errors"])) == 3
    assert 0.02 < pixels["mean"] < 0.12, "as linear classifiers have on digits"
    every = [error * found["n_test"] for each in found["features"].values() for error in each["errors"]]
    assert all(abs(error - round(error)) < 1e-9 for error in every), "shares of the test images"
    more = Features(igm, labels=800, draws=3).compute(Progress()).record["features"]["raw pixels"]
    assert more["mean"] < pixels["mean"]


def test_what_cannot_be_learned_is_refused(igm: Path) -> None:
    with pytest.raises(InputError, match="labels must be at most 1199, the images to draw from, got 1200"):
        Features(igm, labels=1200).compute(Progress())


def test_the_picture_has_a_dot_for_each() -> None:
    one = {"dimensions": 64, "mean": 0.2, "spread": 0.01}
    figure = features_figure({"a": one, "raw pixels": {**one, "mean": 0.5}}, 1000, 100)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a (64)", "raw pixels (64)"]
    assert {text.get_text() for text in axes.texts} == {"20.0 ± 1.0", "50.0 ± 1.0"}
