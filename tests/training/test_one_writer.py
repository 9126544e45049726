# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""One process at a time writes into a run's folder; a dead one neither blocks it nor leaves its rubbish there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stic_fast.errors import InputError
from stic_fast.training import RunFolder, SticConfig, open_run, resume, train
from stic_fast.training.one_writer import one_writer

HOLD = """
import sys, time
from pathlib import Path
from stic_fast.training.one_writer import one_writer
with one_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_process_at(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLD, str(folder)]
    # Elsewhere than in a checkout, whose package has no native module.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def trained(tiny: SticConfig, tmp_path: Path) -> Path:
    """A finished run of one pass."""
    train(dataclasses.replace(tiny, passes=1, iterations=1), tmp_path / "run")
    return tmp_path / "run"


def test_a_second_process_is_told_and_a_killed_one_blocks_none(trained: Path, tiny: SticConfig, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    before = {file: file.read_bytes() for file in trained.rglob("*") if file.is_file()}
    with another_process_at(trained) as other:
        with pytest.raises(InputError, match="run is being written by another process"):
            resume(trained)
        assert {file: file.read_bytes() for file in trained.rglob("*") if file.is_file()} == before
        open_run(trained)  # reading goes on
        other.send_signal(signal.SIGKILL)
        other.wait()
        resume(trained)
    with another_process_at(begun), pytest.raises(InputError, match="begun is being written by another process"):
        train(dataclasses.replace(tiny, passes=1, iterations=1), begun)


def test_who_holds_it_may_take_it_again_but_another_thread_may_not(tmp_path: Path) -> None:
    said: list[str] = []

    def second() -> None:
        try:
            with one_writer(tmp_path):
                said.append("got it")
        except InputError as error:
            said.append(str(error))

    with one_writer(tmp_path):
        with one_writer(tmp_path / "."):
            pass
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(said) == 1 and "is being written by another process" in said[0]
    second()
    assert said[1] == "got it"


def test_only_what_lies_in_the_folder_needs_its_lock(trained: Path, tmp_path: Path) -> None:
    run = RunFolder(trained)
    with another_process_at(trained):
        with run.one_writer(tmp_path / "elsewhere.png"), run.one_writer(trained.parent / "run2" / "x.png"):
            pass
        for inside in (trained / "x.png", trained / "new" / "x.png", trained / "samples" / ".." / "x.npz"):
            with pytest.raises(InputError, match="being written"), run.one_writer(inside):
                pass


def test_a_folder_that_may_not_be_written_can_be_read(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root may write everywhere, what the system would refuse others is refused here."""
    (trained / ".lock").unlink()
    really = os.open

    def refuse(path: str | os.PathLike[str], flags: int, *more: int, **named: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(str(trained)):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)
    open_run(trained)
    with RunFolder(trained).one_writer(trained.parent / "elsewhere.png"):
        pass
    with pytest.raises(InputError, match=r"run cannot be written.*Permission denied"):
        resume(trained)


LEFT = {".config.json.0123abcd.partial", ".lock", ".SHA256SUMS.89abcdef.partial"}


def test_what_killed_processes_left_is_swept(trained: Path) -> None:
    ours = [
        trained / ".metrics.jsonl.0123abcd.partial",
        trained / "samples" / ".grid.png.ffffffff.partial",
        trained / "checkpoints" / ".pass_002.partial" / "model.safetensors",
        trained / "checkpoints" / ".pass_002_iteration_000004.partial" / "state.pt",
    ]
    other_run = trained / "studies" / "other"
    theirs = [
        trained / ".notes.partial",
        trained / "x.0123abcd.partial",
        trained / "samples" / ".pass.partial" / "mine",
        other_run / ".metrics.jsonl.0123abcd.partial",
    ]
    for file in (*ours, *theirs):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    shutil.copy(trained / "config.json", other_run / "config.json")
    open_run(trained)
    assert all(file.exists() for file in ours), "reading removes nothing"
    resume(trained)
    assert not any(file.exists() or (file.parent.name.endswith(".partial") and file.parent.exists()) for file in ours)
    assert all(file.exists() for file in theirs)


@pytest.mark.parametrize("left", [LEFT, {".lock"}, set()])
def test_a_folder_with_nothing_but_leftovers_can_be_begun_anew(tmp_path: Path, left: set[str]) -> None:
    for name in left:
        (tmp_path / name).touch()
    run = RunFolder.create(tmp_path, "stic", {})
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "SHA256SUMS", ".lock"}
    assert run.read_config() == ("stic", {})


def test_a_leftover_beside_other_files_is_no_empty_folder(tmp_path: Path) -> None:
    for name in (".lock", "cat.png"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="holds other files; give a new folder"):
        RunFolder.create(tmp_path, "stic", {})


def test_the_lock_is_no_secret(trained: Path) -> None:
    assert (
        stat.S_IMODE((trained / ".lock").stat().st_mode) & 0o077
        == stat.S_IMODE((trained / "config.json").stat().st_mode) & 0o077
    )


def test_two_that_begin_at_once(tiny: SticConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looked at the empty folder before the first had written into it."""
    look: Callable[[RunFolder], None] = RunFolder._refuse_occupied
    looked = []

    def late(self: RunFolder) -> None:
        look(self)
        looked.append(self)
        if len(looked) == 1:
            RunFolder.create(tmp_path / "run", "stic", {"first": 1})

    monkeypatch.setattr(RunFolder, "_refuse_occupied", late)
    with pytest.raises(InputError, match="holds a run already"):
        RunFolder.create(tmp_path / "run", "stic", {"second": 2})
    assert RunFolder(tmp_path / "run").read_config() == ("stic", {"first": 1})
