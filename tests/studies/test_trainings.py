# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Trainings that a study needs are made once, gone on with, and never taken for others."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stic_fast.errors import InputError
from stic_fast.sampling import GRMALA
from stic_fast.studies.trainings import check_settings, trained
from stic_fast.training import NetworkConfig, Progress, RunConfig, RunFolder, SoftmaxConfig, SticConfig, open_run

CONFIG = SoftmaxConfig(
    passes=2,
    iterations=2,
    batch_size=4,
    network=NetworkConfig(architecture="convnet", width=1),
    sampler=GRMALA(steps=1),
    log_every=1,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trainings") / "made"
    seconds = trained(CONFIG, path, Progress())
    assert seconds is not None and seconds >= 0
    return path


def test_a_finished_training_is_left_as_it_is(made: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in made.rglob("*.safetensors")}
    metrics = (made / "metrics.jsonl").read_text()
    check_settings(CONFIG, made)
    again = trained(CONFIG, made, Progress())
    assert again == json.loads((made / "seconds.json").read_text())["seconds"]
    assert (made / "metrics.jsonl").read_text() == metrics
    assert before == {file: file.stat().st_mtime_ns for file in made.rglob("*.safetensors")}


def test_a_stopped_training_goes_on_to_the_same_weights(made: Path, tmp_path: Path) -> None:
    class Stop(Progress):
        def pass_done(self, run: RunFolder, curves: object) -> None:
            raise KeyboardInterrupt

    path = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        trained(CONFIG, path, Stop())
    assert RunFolder(path).newest_checkpoint().pass_number == 1
    check_settings(CONFIG, path)
    assert trained(CONFIG, path, Progress()) is None, "nobody knows how long it took"
    whole, resumed = open_run(made).model.state_dict(), open_run(path).model.state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(CONFIG, passes=3), "passes=2"),
        (replace(CONFIG, seed=1), "seed=0"),
        (replace(CONFIG, network=replace(CONFIG.network, width=2)), "network.width=1"),
        (SticConfig(), "softmax"),
    ],
)
def test_a_training_of_other_settings_is_refused(made: Path, other: RunConfig, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_settings(other, made)


def test_settings_that_cannot_work_are_refused_where_nothing_is_trained_yet(tmp_path: Path) -> None:
    check_settings(CONFIG, tmp_path / "new")
    with pytest.raises(InputError, match="iterations"):
        check_settings(replace(CONFIG, iterations=0), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_damaged_note_of_the_seconds_is_one_sentence(made: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(made, tmp_path / "own"))
    for damaged in ("{}", '{"seconds": null}', "[]", '{"seconds": 9.5}'):
        (own / "seconds.json").write_text(damaged)
        with pytest.raises(InputError, match=r"seconds\.json is damaged"):
            trained(CONFIG, own, Progress())
    (own / "seconds.json").unlink()
    with pytest.raises(InputError, match=r"seconds\.json is missing"):
        trained(CONFIG, own, Progress())
    (own / "SHA256SUMS").unlink()
    assert trained(CONFIG, own, Progress()) is None
