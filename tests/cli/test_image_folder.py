# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""A killed `sample --out FOLDER` goes on where it was, and never mixes images of different settings."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor

from stic_fast.api.image_folder import LOCK, UNFINISHED, ImageFolder
from stic_fast.cli.main import main
from stic_fast.training import ImageSampler

LEFTOVER = ".00000_0.png.0a1b2c3d.partial"


def options(run: Path, out: Path, *more: str) -> list[str]:
    return ["sample", str(run), "--out", str(out), "--n", "12", "--batch-size", "2", *more]


def images_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def whole(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole") / "images"
    assert main(options(tiny_run, folder)) == 0
    return images_in(folder)


@pytest.fixture
def stopped(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """A folder whose drawing was stopped by Ctrl-C after three batches."""
    folder, write, batches = tmp_path / "images", ImageFolder.write, iter(range(10))

    def interrupted(self: ImageFolder, places: Tensor, images: Tensor) -> None:
        if next(batches) == 3:
            raise KeyboardInterrupt
        write(self, places, images)

    with monkeypatch.context() as patch:
        patch.setattr(ImageFolder, "write", interrupted)
        assert main(options(tiny_run, folder)) == 130
    assert capsys.readouterr().err == "stic-fast: stopped; 6 images are missing; the same command draws them\n"
    assert len(list(folder.glob("*.png"))) == 6
    return folder


def test_a_finished_folder_holds_images_alone(whole: dict[str, bytes]) -> None:
    assert len(whole) == 12 and all(name.endswith(".png") for name in whole)


def test_a_stopped_drawing_goes_on(
    stopped: Path, tiny_run: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (stopped / LEFTOVER).write_bytes(b"half of an image")
    drawn, of_numbers = [], ImageSampler.of_numbers

    def counting(self: ImageSampler, numbers: Tensor, *others: Any) -> Tensor:
        drawn.extend(numbers.tolist())
        return of_numbers(self, numbers, *others)

    monkeypatch.setattr(ImageSampler, "of_numbers", counting)
    assert main(options(tiny_run, stopped)) == 0
    assert len(drawn) == 6 and images_in(stopped) == whole


def test_a_killed_drawing_goes_on(tiny_run: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    folder = tmp_path / "images"
    command = [sys.executable, "-m", "stic_fast", *options(tiny_run, folder, "--steps", "2")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not list(folder.glob("*.png")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert main(options(tiny_run, folder)) in (0, 2)  # 2: it was done before it was killed
    assert images_in(folder) == whole


@pytest.mark.parametrize(
    ("more", "differs"),
    [(["--seed", "1"], "seed"), (["--steps", "3"], "steps"), (["--labels", "1,2"], "labels"), (["--n", "13"], "n")],
)
def test_other_settings_are_not_mixed_in(
    stopped: Path, tiny_run: Path, more: list[str], differs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = images_in(stopped)
    assert main(options(tiny_run, stopped, *more)) == 2
    assert f"holds an unfinished drawing with another {differs}; ask for the same" in capsys.readouterr().err
    assert images_in(stopped) == before


def test_other_weights_are_not_mixed_in(stopped: Path, own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(own_run / "checkpoints" / "pass_002")
    assert main(options(own_run, stopped)) == 2
    assert "unfinished drawing with another run, weights; ask" in capsys.readouterr().err


def test_a_batch_of_another_size_is_no_other_setting(
    stopped: Path, tiny_run: Path, whole: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(tiny_run, stopped, "--batch-size", "5")) == 0
    assert "6 of 12 images are in" in capsys.readouterr().out
    assert images_in(stopped) == whole


@pytest.mark.parametrize("names", [[LEFTOVER], [LOCK], [LOCK, f".{UNFINISHED}.00000000.partial"], []])
def test_a_folder_that_holds_only_leftovers_is_begun_anew(
    names: list[str], tiny_run: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    assert main(options(tiny_run, folder)) == 0
    assert images_in(folder) == whole


@pytest.mark.parametrize("name", ["00000_0.png", "notes.txt", ".hidden", ".git.partial"])
def test_other_folders_are_refused(
    name: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(b"mine")
    assert main(options(tiny_run, tmp_path / "mine")) == 2
    assert "mine is not empty; give a new one" in capsys.readouterr().err
    assert images_in(tmp_path / "mine") == {name: b"mine"}


@pytest.mark.parametrize("note", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_damaged_note(note: bytes, stopped: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (stopped / UNFINISHED).write_bytes(note)
    assert main(options(tiny_run, stopped)) == 2
    assert f"{UNFINISHED} is damaged" in capsys.readouterr().err


def test_one_process_at_a_time(stopped: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(stopped / LOCK):
        assert main(options(tiny_run, stopped)) == 2
    assert "images is being written by another process" in capsys.readouterr().err


def test_the_note_names_what_images_depend_on(stopped: Path, tiny_run: Path) -> None:
    note = json.loads((stopped / UNFINISHED).read_text())
    assert note["run"] == str(tiny_run.resolve()) and note["n"] == 12 and note["seed"] == 0 and note["steps"] == 2


def test_leftovers_beside_a_file_are_swept_once_nobody_writes_them(tiny_run: Path, tmp_path: Path) -> None:
    old, new, other = (tmp_path / f".{name}.0a1b2c3d.partial" for name in ("x.npz", "x.npz", "y.npz"))
    new = tmp_path / ".x.npz.00000000.partial"
    for path in (old, new, other):
        path.write_bytes(b"half")
    for path in (old, other):
        os.utime(path, (0, 0))
    assert main(["sample", str(tiny_run), "--n", "1", "--out", str(tmp_path / "x.npz")]) == 0
    assert not old.exists() and new.exists() and other.exists()


def test_images_are_those_of_one_file(whole: dict[str, bytes], tiny_run: Path, tmp_path: Path) -> None:
    assert main(options(tiny_run, tmp_path / "x.npz")) == 0
    with np.load(tmp_path / "x.npz") as arrays:
        for place, content in enumerate(whole.values()):
            (tmp_path / "one.png").write_bytes(content)
            with Image.open(tmp_path / "one.png") as picture:
                assert torch.equal(
                    torch.from_numpy(np.array(picture)), torch.from_numpy(arrays["arr_0"][place, :, :, 0])
                )
