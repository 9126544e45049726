# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""What tests of several parts share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> Iterator[None]:
    """Shells have their background jobs ignore Ctrl-C, which some tests send to themselves."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run_python(program, folder, NAME=value): a program in a Python of its own, where warnings are errors."""
    import stic_fast

    package = str(Path(stic_fast.__file__).parents[1])
    search_path = os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])

    def run(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=os.environ | {"PYTHONPATH": search_path} | environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small take longer on several threads, most of all where other work keeps the cores busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def made() -> dict[str, Any]:
    """What is said of every pretrained run of the tests."""
    return {"command": "stic-fast train jem", "seconds": 2.5, "machine": "one core", "source": "somebody"}


@pytest.fixture(scope="session")
def npz_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in two colours and three classes that come with nothing."""
    chance, file = np.random.default_rng(0), tmp_path_factory.mktemp("far") / "images.npz"
    shape = (60, 8, 12, 3)
    parts = {f"x_{part}": chance.integers(0, 256, shape, dtype=np.uint8) for part in ("train", "test")}
    np.savez(file, **parts, y_train=np.arange(60) % 3, y_test=np.arange(60) % 3)
    return file


@pytest.fixture(scope="session")
def pretrained_made(npz_images: Path, made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place of pretrained runs: `plain` without a Gram term, `gram` with one, and `far`, whose images lie away."""
    import stic_fast
    from stic_fast.training import pretrained
    from stic_fast.training.pretrained_writer import write_pretrained

    folder = tmp_path_factory.mktemp("pretrained")
    small: dict[str, Any] = {"passes": 1, "iterations": 2, "batch_size": 4}
    small |= {"pool": {"chains": 4, "sampler": {"steps": 1}}, "network": {"depth": 10, "width": 1}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "PLACE", folder / "place")
        for name, method, data, eps2 in (
            ("plain", "jem", "digits", 0.0),
            ("gram", "stic", "digits", 0.5),
            ("far", "jem", f"npz:{npz_images}", 0.0),
        ):
            sampler = {"steps": 2, "eps2": eps2}
            run = stic_fast.train(method, data=data, out=folder / name, sampler=sampler, **small)
            run.evaluate(metrics="images,classifier", n=20, judge_iterations=2)
            write_pretrained(folder / name, name, **made)
    return folder / "place"


@pytest.fixture
def own_place(pretrained_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them that a test may damage, as those of the package; the current folder is an empty one."""
    from stic_fast.training import pretrained

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(pretrained, "PLACE", tmp_path / "installed")
    return Path(shutil.copytree(pretrained_made, tmp_path / "installed"))


@pytest.fixture
def pretrained_place(own_place: Path) -> Iterator[Path]:
    """The same, which may not be written and is not."""
    folders = [own_place, *(path for path in own_place.iterdir() if path.is_dir())]
    before = {path: path.read_bytes() for path in own_place.rglob("*") if path.is_file()}
    for folder in folders:
        folder.chmod(0o555)
    yield own_place
    for folder in folders:
        folder.chmod(0o755)
    assert {path: path.read_bytes() for path in own_place.rglob("*") if path.is_file()} == before
