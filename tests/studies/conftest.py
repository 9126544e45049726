# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A run trained in a second, for the studies to look at, and a cache of judges that is the tests' own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stic_fast.errors import Diverged
from stic_fast.sampling import GRMALA
from stic_fast.training import NetworkConfig, PoolConfig, SticConfig, train


@pytest.fixture(autouse=True, scope="module")
def _small_tensors(one_thread: None) -> None:
    """All tests here work on one thread."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two passes on the digits, trained once; tests that change files take `edited_run`."""
    path = tmp_path_factory.mktemp("studies") / "run"
    config = SticConfig(
        passes=2,
        iterations=3,
        batch_size=4,
        network=NetworkConfig(depth=10, width=1),
        pool=PoolConfig(chains=4, sampler=GRMALA(steps=2)),
        sampler=GRMALA(steps=2),
        log_every=1,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the tests themselves: threads change the last bits
    train(config, path)
    torch.set_num_threads(threads)
    return path


@pytest.fixture
def edited_run(tiny_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies of the tiny run whose sampler has other settings."""

    def edited(**sampler: Any) -> Path:
        path = Path(shutil.copytree(tiny_run, tmp_path / "edited"))
        plain = json.loads((path / "config.json").read_text())
        plain["settings"]["sampler"].update(sampler)
        (path / "config.json").write_text(json.dumps(plain))
        (path / "SHA256SUMS").unlink()
        return path

    return edited


@pytest.fixture
def huge_steps_diverge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains of step sizes beyond 1e30 diverge, as some do."""
    run = GRMALA.run

    def guarded(sampler: GRMALA, *args: Any, **options: Any) -> Any:
        if max(sampler.eps1, sampler.eps2) > 1e30:
            raise Diverged("all chains diverged to NaN")
        return run(sampler, *args, **options)

    monkeypatch.setattr(GRMALA, "run", guarded)
