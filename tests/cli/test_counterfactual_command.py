# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`counterfactual` leaves a picture and says in a line what was found; an image that it cannot take is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stic_fast
from stic_fast.cli.main import main


def test_of_a_test_image(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["counterfactual", str(own_run), "test:17", "--to", "8", "--steps", "3", "--seed", "2"]) == 0
    captured = capsys.readouterr()
    picture = own_run / "samples" / "counterfactual_test17_to_8_seed2.png"
    run = stic_fast.load(own_run)
    found = run.counterfactual(run.splits.test.images[17], 8, steps=3, seed=2)
    assert captured.out == f"test:17: {found}\npicture: {picture}\n" and captured.err == ""
    with Image.open(picture) as written:
        assert np.array_equal(np.asarray(written), np.asarray(found.picture()))


def test_of_an_image_file_of_another_size_and_kind(tiny_run: Path, tmp_path: Path) -> None:
    """A photograph is brought to the run's 8x8 grey pixels; an image of that size stays as it is."""
    photo = np.zeros((32, 64, 3), np.uint8)
    photo[:, 32:] = 255
    Image.fromarray(photo).save(tmp_path / "photo.jpg", quality=100)
    small = np.repeat(np.array([[0, 0, 0, 0, 255, 255, 255, 255]], np.uint8), 8, axis=0)
    Image.fromarray(small).save(tmp_path / "small.png")
    pictures = []
    for name in ("photo.jpg", "small.png"):
        out = tmp_path / f"{name}.out.png"
        assert main(["counterfactual", str(tiny_run), str(tmp_path / name), "--to=8", "--steps=0", f"--out={out}"]) == 0
        with Image.open(out) as picture:
            pictures.append(np.asarray(picture).astype(int))
    of_small = stic_fast.load(tiny_run).counterfactual(small[None], 8, steps=0).picture()
    assert np.array_equal(pictures[1], np.asarray(of_small))
    assert (np.abs(pictures[0] - pictures[1]) > 40).mean() < 0.05, "but for the photograph's blurred edge"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test:359", "--to", "8"], "0 to 358"),
        (["test:-1", "--to", "8"], "'test:-1'"),
        (["test:" + "9" * 5000, "--to", "8"], "0 to 358"),
        (["nowhere.png", "--to", "8"], "nowhere.png"),
        ([".", "--to", "8"], "no image file"),
        (["notes.txt", "--to", "8"], "notes.txt"),
        (["test:1", "--to", "cat"], "'cat'"),
        (["test:1", "--to", "8", "--out", "x.npz"], "x.npz"),
        (["test:1", "--to", "8", "--out", "notes.txt/x.png"], "notes.txt"),
        (["test:1", "--to", "8", "--confidence", "1"], "--confidence"),
        (["test:1", "--to", "8", "--seed", "-1"], "--seed"),
        (["test:1", "--to", "8", "--noise", "0"], "--noise"),
        (["test:1", "--to", "8", "--noise", "0.5"], "noise is for chains"),
        (["test:1"], "--to"),
    ],
)
def test_what_cannot_be_is_named(
    tiny_run: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["counterfactual", str(tiny_run), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and captured.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
