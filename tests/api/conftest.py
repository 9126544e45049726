# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Runs trained from Python in a second or two, for everything that a run can be asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import stic_fast

SMALL: dict[str, Any] = {
    "passes": 1,
    "iterations": 2,
    "batch_size": 4,
    "sampler": {"steps": 2},
    "log_every": 1,
}

OWN: dict[str, dict[str, Any]] = {
    "softmax": {},
    "score-stic": {
        "network": {"channels": (8, 16)},
        "score": {"denoised": 8},
        "fakes": {"images": 4, "batch_size": 4, "sampler": {"steps": 1}},
    },
}
"""What a tiny run of a method needs beside this; the others a pool of chains."""


@pytest.fixture(scope="session", params=["stic", "score-stic", "gmmc", "jem", "softmax"])
def any_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> stic_fast.Run:
    """A tiny run of each method."""
    own = OWN.get(request.param, {"pool": {"chains": 4, "sampler": {"steps": 1}}})
    return stic_fast.train(request.param, out=tmp_path_factory.mktemp("api") / request.param, **SMALL, **own)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> stic_fast.Run:
    """A tiny STIC run of two passes; tests that change files take `own_run`."""
    settings = {**SMALL, "passes": 2, "pool": {"chains": 4, "sampler": {"steps": 1}}}
    return stic_fast.train("stic", out=tmp_path_factory.mktemp("api") / "tiny", **settings)


@pytest.fixture
def own_run(tiny_run: stic_fast.Run, tmp_path: Path) -> stic_fast.Run:
    """A copy of the tiny run."""
    return stic_fast.load(shutil.copytree(tiny_run.folder.path, tmp_path / "own"))


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> stic_fast.Run:
    """A run that has learnt to tell digits apart."""
    out = tmp_path_factory.mktemp("api") / "reader"
    return stic_fast.train("softmax", out=out, passes=1, iterations=100, **{"sampler.steps": 20})


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> stic_fast.Run:
    """A Score-STIC run that has learnt to tell digits apart and to draw them, if not well."""
    out = tmp_path_factory.mktemp("api") / "scorer"
    settings = {"network.channels": (16, 32), "score.denoised": 32, "batch_size": 8, "sampler.steps": 6}
    precision = {"optimiser.precision": "fp32", "sampler.precision": "fp32"}
    return stic_fast.train("score-stic", out=out, passes=1, iterations=200, **settings, **precision)
