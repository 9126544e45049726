# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run trained in a second, for the commands to work on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stic_fast.cli import demo
from stic_fast.cli.main import main
from stic_fast.training import ScoreSticConfig

_TINY = {
    "passes": 2,
    "iterations": 3,
    "batch-size": 4,
    "pool.chains": 4,
    "pool.sampler.steps": 2,
    "sampler.steps": 2,
    "checkpoint-every": 2,
    "log-every": 1,
}


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """The command line that trains it, but for --out."""
    return ["train", "stic", *(f"--{name}={value}" for name, value in _TINY.items())]


@pytest.fixture(scope="session")
def tiny_run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained once; tests that change files take `own_run`."""
    path = tmp_path_factory.mktemp("cli") / "run"
    assert main([*tiny, "--out", str(path)]) == 0
    return path


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run."""
    return Path(shutil.copytree(tiny_run, tmp_path / "own-run"))


@pytest.fixture
def tiny_scale(monkeypatch: pytest.MonkeyPatch) -> demo.Scale:
    """A short demo that takes a second."""
    short = demo.SHORT.settings
    assert isinstance(short, ScoreSticConfig)
    sampler = replace(short.sampler, steps=2)
    fakes = replace(short.fakes, images=4, sampler=sampler)
    settings = replace(short, iterations=3, batch_size=4, fakes=fakes, sampler=sampler)
    scale = demo.Scale(settings, images_per_class=12, judge_iterations=2)
    monkeypatch.setattr(demo, "SHORT", scale)
    return scale
