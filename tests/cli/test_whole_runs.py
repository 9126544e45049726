# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Every command on a run that another process writes into, that may not be written, or whose images changed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from stic_fast.cli.main import main
from stic_fast.training.one_writer import one_writer

pytestmark = pytest.mark.usefixtures("one_thread")

READING = {
    "sample": ["sample", "RUN", "--n=1", "--out=NEW.png"],
    "interpolate": ["interpolate", "RUN", "--from=0", "--to=1", "--n=1", "--out=NEW.png"],
    "report": ["report", "RUN", "--out=NEW.html"],
    "study": ["study", "evolution", "RUN", "--passes=2", "--classes=2", "--out=NEW.png"],
}
WRITING = {
    **{name: [word for word in words if not word.startswith("--out")] for name, words in READING.items()},
    "sample into the run": ["sample", "RUN", "--n=1", "--out=RUN/deep/x.npz"],
    "animate into the run": ["sample", "RUN", "--n=1", "--out=NEW.png", "--animate=RUN/deep/x.webp"],
    "evaluate": ["evaluate", "RUN", "--n=10", "--judge-iterations=2", "--metrics=classifier"],
    "train": ["train", "stic", "--resume", "RUN"],
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@contextmanager
def written_elsewhere(run: Path) -> Iterator[None]:
    """Another thread holds the lock, which keeps this one out as a process would."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with one_writer(run):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


def filled_in(words: list[str], run: Path, new: Path) -> list[str]:
    return [word.replace("RUN", str(run)).replace("NEW", str(new)) for word in words]


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file() and file.name != ".lock"}


@pytest.mark.parametrize("name", WRITING)
def test_the_second_writer_is_told_before_any_work(
    name: str, own_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(own_run)
    with written_elsewhere(own_run):
        capsys.readouterr()
        assert main(filled_in(WRITING[name], own_run, tmp_path / "new")) == 2
    told = capsys.readouterr()
    assert told.out == "" and contents(own_run) == before
    assert f"{own_run} is being written by another process" in told.err and told.err.count("\n") == 1
    assert main(filled_in(WRITING[name], own_run, tmp_path / "new")) == 0


@pytest.mark.parametrize("name", READING)
def test_who_only_reads_waits_for_nobody_and_writes_nothing_there(name: str, own_run: Path, tmp_path: Path) -> None:
    shutil.rmtree(own_run / "samples")
    (own_run / ".lock").unlink()
    before = set(own_run.rglob("*"))
    assert main(filled_in(READING[name], own_run, tmp_path / "new")) == 0
    assert set(own_run.rglob("*")) == before, "as of a run that may not be written"
    with written_elsewhere(own_run):
        assert main(filled_in(READING[name], own_run, tmp_path / "again")) == 0


@pytest.fixture(scope="module")
def npz_run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of its own, data.npz beside it."""
    folder = tmp_path_factory.mktemp("npz")
    chance = np.random.default_rng(0)
    arrays = {f"x_{part}": chance.integers(0, 256, (12, 8, 8), dtype=np.uint8) for part in ("train", "test")}
    np.savez(folder / "data.npz", **arrays, y_train=np.arange(12) % 2, y_test=np.arange(12) % 2)
    command = [*tiny, "--passes=1", f"--data=npz:{folder / 'data.npz'}", f"--out={folder / 'run'}"]
    assert main(command) == 0
    return folder / "run"


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("changed", ["x_train", "y_test"])
def test_images_that_changed_are_told(
    name: str, changed: str, npz_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = npz_run, npz_run.with_name("data.npz")
    whole = data.read_bytes()
    with np.load(data) as arrays:
        other = {key: array[::-1] if key == changed else array for key, array in arrays.items()}
    np.savez(data, **other)
    capsys.readouterr()
    try:
        assert main(filled_in(WRITING[name], run, tmp_path / "new")) == 2
    finally:
        data.write_bytes(whole)
    told = capsys.readouterr()
    assert f"the images of npz:{data} changed" in told.err and str(run) in told.err and told.err.count("\n") == 1
