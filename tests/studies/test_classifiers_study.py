# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`stic-fast study classifiers`: networks trained plainly and by STIC."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.evaluation import accuracy
from stic_fast.models import ConvNet, WideResNet
from stic_fast.studies import classifiers
from stic_fast.studies.classifiers import Classifiers, final
from stic_fast.studies.trainings import network_named
from stic_fast.training import (
    NetworkConfig,
    Progress,
    Softmax,
    SoftmaxConfig,
    Stic,
    SticConfig,
    open_run,
    train,
)


@pytest.fixture(scope="module")
def studied(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    """A run's copy, what the study of two networks recorded, and what it said."""
    own = Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("classifiers") / "own"))
    listener = Listener()
    finding = Classifiers(own, classifiers="wrn-10-1,convnet-1").compute(listener)
    assert len(finding.figure.axes) == 4
    json.dumps(finding.record)
    return own, finding.record, listener.said


class Listener(Progress):
    """Hears what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def test_both_trainings_are_of_the_named_networks(studied: tuple[Path, dict[str, Any], list[str]]) -> None:
    own, _, _ = studied
    base = open_run(own).config
    for name, kind in (("wrn-10-1", WideResNet), ("convnet-1", ConvNet)):
        plain, stic = (open_run(own / "studies" / "classifiers" / f"{name}-{way}") for way in ("plain", "stic"))
        assert isinstance(plain.config, SoftmaxConfig) and isinstance(stic.config, SticConfig)
        assert isinstance(plain.model, kind) and isinstance(stic.model, kind)
        assert (plain.model.has_fake_class, stic.model.has_fake_class) == (False, True)
        for run in (plain, stic):
            assert (run.config.seed, run.config.optimiser) == (base.seed, base.optimiser)
            assert vars(run.config.augmentation).items() <= vars(base.augmentation).items()
        assert stic.config == replace(base, network=stic.config.network)
        assert plain.config.sampler.eps2 == 0
        batches = (
            Softmax(plain.model, plain.splits, plain.config).real.draw(0, 5),
            Stic(stic.model, stic.splits, stic.config).real.draw(0, 5),
        )
        assert torch.equal(batches[0][0], batches[1][0]) and torch.equal(batches[0][1], batches[1][1][:, :10])


def test_stic_with_the_run_s_own_network_is_the_run(studied: tuple[Path, dict[str, Any], list[str]]) -> None:
    own, _, _ = studied
    first, again = (open_run(path).model.state_dict() for path in (own, own / "studies/classifiers/wrn-10-1-stic"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_the_record_is_what_the_trainings_logged(studied: tuple[Path, dict[str, Any], list[str]]) -> None:
    own, record, said = studied
    assert (record["training_seed"], record["logits"]) == (0, {"plain": 10, "stic": 11})
    assert list(record["classifiers"]) == ["wrn-10-1", "convnet-1"]
    for name, row in record["classifiers"].items():
        for way, key in (("plain", "loss"), ("stic", "loss_real")):
            run = open_run(own / "studies" / "classifiers" / f"{name}-{way}")
            logged = [each for each in run.folder.read_metrics() if each["kind"] == "train"]
            assert row[way]["curve"]["iteration"] == [1, 2, 3, 4, 5, 6]
            assert row[way]["curve"]["loss"] == pytest.approx([each[key] for each in logged], rel=1e-4)
            assert row[way]["final_loss"]["value"] == logged[-1][key]
            test = run.splits.test
            right = accuracy(run.model, test.images, test.labels, 10)
            assert row[way]["test_accuracy"]["value"] == row[way]["test_accuracy_by_pass"]["2"] == right
            assert row[way]["training_seconds"] > 0
        gain = row["stic_minus_plain"]["test_accuracy"]
        assert gain["value"] == row["stic"]["test_accuracy"]["value"] - row["plain"]["test_accuracy"]["value"]
        assert gain["error"] > row["stic"]["test_accuracy"]["error"] > 0
        assert any(line.startswith(f"{name}: with STIC the final loss") for line in said)


def test_what_is_trained_is_not_trained_again(
    studied: tuple[Path, dict[str, Any], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, record, _ = studied

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("stic_fast.studies.trainings.train", refuse)
    again = Classifiers(own, classifiers="wrn-10-1,convnet-1").compute(Progress()).record
    assert json.dumps(again) == json.dumps(record)  # as text: a mean over one batch has NaN for its error


def test_other_settings_than_those_found_are_refused_before_anything_is_trained(
    studied: tuple[Path, dict[str, Any], list[str]],
) -> None:
    own, _, _ = studied
    for options, words in (({"passes": 1}, "passes=2"), ({"iterations": 4}, "iterations=3")):
        with pytest.raises(InputError, match=f"convnet-1-plain .*{words}"):
            Classifiers(own, classifiers="wrn-22-1,convnet-1", **options).compute(Progress())
    assert not list((own / "studies" / "classifiers").glob("wrn-22*"))


def test_another_seed_stands_beside(studied: tuple[Path, dict[str, Any], list[str]]) -> None:
    own, record, _ = studied
    other = Classifiers(own, classifiers="convnet-1", passes=1, iterations=2, seed=7).compute(Progress()).record
    folder = own / "studies" / "classifiers"
    assert open_run(folder / "convnet-1-stic-seed-7").config.seed == other["training_seed"] == 7
    assert other["classifiers"]["convnet-1"]["plain"]["curve"]["iteration"] == [1, 2]
    losses = [each["classifiers"]["convnet-1"]["plain"]["curve"]["loss"][0] for each in (record, other)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classifiers": "vgg"}, "--classifiers.*vgg"),
        ({"classifiers": " , "}, "--classifiers"),
        ({"classifiers": "wrn-10-1,wrn-10-1"}, "--classifiers"),
        ({"classifiers": "convnet-1,wrn-12-1"}, "depth"),
        ({"classifiers": "convnet-0"}, "width"),
        ({"passes": 0}, "passes"),
        ({"iterations": 0}, "iterations"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(classifiers, "trained", lambda *_: pytest.fail("trained before all was checked"))
    with pytest.raises(InputError, match=words):
        Classifiers(tiny_run, **options).compute(Progress())


def test_runs_of_other_methods_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    config = open_run(tiny_run).config
    shared = {"passes": 1, "iterations": 1, "batch_size": 2, "network": config.network, "sampler": config.sampler}
    train(SoftmaxConfig(**shared), tmp_path / "plain")
    with pytest.raises(InputError, match="softmax"):
        Classifiers(tmp_path / "plain").compute(Progress())


def test_gram_layers_stay_with_the_network_that_has_them() -> None:
    own = NetworkConfig(depth=10, width=1, strides=(2, 2, 2), gram_layers=("conv9",))
    assert network_named("wrn-10-4", own) == replace(own, width=4)
    assert network_named("wrn-16-1", own) == replace(own, depth=16, gram_layers=())
    assert network_named("convnet-3", own) == replace(own, architecture="convnet", width=3, gram_layers=())
    convnet = replace(own, architecture="convnet", gram_layers=("conv2",))
    assert network_named("convnet-3", convnet) == replace(convnet, width=3)
    assert network_named("wrn-10-1", convnet) == replace(own, gram_layers=())


def test_the_final_loss_is_of_the_last_twentieth() -> None:
    iterations = list(range(10, 401, 10))
    value, error = final(iterations, [1.0] * 38 + [3.0, 5.0], 400)
    assert value == 4.0 and error == pytest.approx(1.0)
