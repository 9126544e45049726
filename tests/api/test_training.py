# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A training in one call is the one that its settings and the command line describe; a slip of the finger is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import stic_fast
from stic_fast.cli.main import main
from stic_fast.errors import InputError
from stic_fast.training import Progress, RunFolder, Stic
from stic_fast.training.config import to_plain

SETTINGS: dict[str, Any] = {
    "passes": 1,
    "iterations": 2,
    "batch_size": 4,
    "pool": {"chains": 4, "sampler": {"steps": 1}},
    "sampler": {"steps": 2, "eps1": 0.5},
    "network.strides": [1, 2, 1],
    "optimiser.lr": 2e-3,
}
OPTIONS = [
    *("--passes=1", "--iterations=2", "--batch-size=4", "--pool.chains=4", "--pool.sampler.steps=1"),
    *("--sampler.steps=2", "--sampler.eps1=0.5", "--network.strides", "1", "2", "1", "--optimiser.lr=2e-3"),
]


def test_it_is_the_command_lines_training(tmp_path: Path) -> None:
    run = stic_fast.train("stic", preset="digits", out=tmp_path / "python", **SETTINGS)
    assert main(["train", "stic", *OPTIONS, "--out", str(tmp_path / "command")]) == 0
    other = stic_fast.load(tmp_path / "command")
    assert run.config == other.config and type(run.config.network.strides) is tuple
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])
    assert RunFolder(tmp_path / "python").read_config() == RunFolder(tmp_path / "command").read_config()


def test_settings_in_dictionaries_or_with_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, Path]] = []
    monkeypatch.setattr("stic_fast.training.train", lambda config, path, progress: made.append((config, path)) or RUN)
    monkeypatch.setattr("stic_fast.api.run.Run.of", staticmethod(lambda run: run))
    monkeypatch.chdir(tmp_path)
    assert stic_fast.train("stic", pool={"sampler": {"steps": 3}}, seed=5) is RUN
    stic_fast.train(Stic, **{"pool.sampler.steps": 3, "seed": 5})
    stic_fast.train("stic", pool={"sampler.steps": 3}, seed=5, preset="digits")
    assert all(config == made[0][0] for config, _ in made) and made[0][0].pool.sampler.steps == 3
    assert to_plain(made[0][0])["pool"]["chains"] == 500, "the others are the preset's"
    assert {path for _, path in made} == {Path("runs/stic-digits-5")}
    stic_fast.train("jem", data="npz:here.npz", preset="fashion")
    assert made[-1][0].data == f"npz:{tmp_path / 'here.npz'}" and made[-1][1] == Path("runs/jem-fashion-0")


RUN = object()


def test_progress_is_told(tmp_path: Path) -> None:
    class Listening(Progress):
        def __init__(self) -> None:
            self.said: list[str] = []

        def say(self, message: str) -> None:
            self.said.append(message)

    listening = Listening()
    stic_fast.train("stic", out=tmp_path / "run", progress=listening, **SETTINGS)
    assert len(listening.said) == 1 and "test accuracy" in listening.said[0]


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("stik", {}, "'stik'.* stic, .*gmmc, jem, softmax"),
        (int, {}, "there is no method"),
        ("stic", {"preset": "fashoin"}, "'fashoin'.* digits, fashion"),
        ("stic", {"preset": "fashion"}, "idx:PATH"),
        ("stic", {"lr": 1e-3}, "'lr'.* optimiser.lr"),
        ("stic", {"network.widht": 2}, r"'network.widht'.* network.width\?"),
        ("stic", {"network": {"widht": 2}}, r"'network.widht'.* network.width\?"),
        ("stic", {"passes.more": 2}, "'passes.more'"),
        ("stic", {"network": 3}, "network .* dictionary"),
        ("stic", {"passes": "many"}, "passes"),
        ("stic", {"passes": 0}, "passes"),
        ("stic", {"network.width": 0}, "network.width"),
        ("stic", {"sampler.eps1": -1.0}, "eps1"),
        ("softmax", {"pool.chains": 3}, "'pool.chains'"),
        ("stic", {"data": "nowhere"}, "'nowhere'"),
    ],
)
def test_what_cannot_be_is_named(method: Any, settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        stic_fast.train(method, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_stopped_training_goes_on(tmp_path: Path) -> None:
    class Stopping(Progress):
        def pass_done(self, *_: Any) -> None:
            raise KeyboardInterrupt

    two = {**SETTINGS, "passes": 2}
    whole = stic_fast.train("stic", out=tmp_path / "whole", **two)
    with pytest.raises(KeyboardInterrupt):
        stic_fast.train("stic", out=tmp_path / "stopped", progress=Stopping(), **two)
    resumed = stic_fast.training.resume(tmp_path / "stopped")
    for name, value in resumed.model.state_dict().items():
        assert torch.equal(value, whole.model.state_dict()[name])
    assert json.loads((tmp_path / "stopped" / "config.json").read_text())["method"] == "stic"
