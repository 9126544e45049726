# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`texture` and `stylize` leave the picture that Python draws, a preview meanwhile, and nothing where they fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stic_fast
from stic_fast.cli import texture as command
from stic_fast.cli.main import main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small colour image in the current folder."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("wall.png")
    Image.fromarray(pixels[:, ::-1, 0].copy()).save("grey.png")
    return Path("wall.png")


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_texture(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["texture", "wall.png", "--size", "17x40", "--seed", "3", "--steps", "2", "--tile"]) == 0
    assert capsys.readouterr().out == "picture: wall_texture_seed3.png\n"
    drawn = stic_fast.texture(source, size=(17, 40), seed=3, steps=2, tile=True)
    assert np.array_equal(pixels("wall_texture_seed3.png"), drawn.permute(1, 2, 0).numpy())
    assert names(tmp_path) == {"wall.png", "grey.png", "wall_texture_seed3.png"}


def test_stylize_in_grey(source: Path) -> None:
    line = ["stylize", "wall.png", "grey.png", "--fidelity=0.2", "--size=16x20", "--steps=2", "--out=new/x.png"]
    assert main(line) == 0
    drawn = stic_fast.stylize(source, "grey.png", fidelity=0.2, size=(16, 20), steps=2)
    assert np.array_equal(pixels("new/x.png"), drawn[0].numpy())


def test_features_of_a_run(tiny_run: Path, source: Path) -> None:
    assert main(["texture", "wall.png", "--run", str(tiny_run), "--size=16x16", "--steps=1", "--out=x.png"]) == 0
    assert pixels("x.png").shape == (16, 16), "grey, as the run's images"


def test_a_preview_stays_where_it_is_stopped(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, on_preview: object, **__: object) -> torch.Tensor:
        assert callable(on_preview)
        on_preview(torch.zeros(3, 16, 16, dtype=torch.uint8))
        assert pixels("x.preview.png").shape == (16, 16, 3)
        raise KeyboardInterrupt

    Path("x.png").write_bytes(b"mine")
    monkeypatch.setattr(command, "texture", stopped)
    monkeypatch.setattr(command, "PREVIEW_SECONDS", 0.0)
    assert main(["texture", "wall.png", "--out", "x.png"]) == 130
    assert capsys.readouterr().err == "stic-fast: stopped; as far as it is: x.preview.png\n"
    assert Path("x.png").read_bytes() == b"mine"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert main(["texture", "wall.png", "--out", "x.png", "--size=16x16", "--steps=1"]) == 0
    assert names(tmp_path) == {"wall.png", "grey.png", "x.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["texture", "nowhere.png"], "there is no image file nowhere.png"),
        (["texture", "notes.txt"], "notes.txt cannot be read as an image"),
        (["texture", "wall.png", "--size", "0x16"], "the height of what is drawn must be from 16"),
        (["texture", "wall.png", "--size", "256"], "--size must be a height and a width such as 256x512, got '256'"),
        (["texture", "wall.png", "--size", "20000x20000"], "give a smaller size"),
        (["texture", "wall.png", "--engine", "magic"], "--engine"),
        (["texture", "wall.png", "--out", "x.jpg"], "a picture is written as PNG, got the path x.jpg"),
        (["texture", "wall.png", "--out", "notes.txt/x.png"], "notes.txt"),
        (["texture", "wall.png", "--out", "new/x.png", "--run", "nowhere"], "nowhere does not exist"),
        (["stylize", "wall.png", "nowhere.jpg", "--out", "new/deep/x.png"], "there is no image file nowhere.jpg"),
        (["stylize", "wall.png", "grey.png", "--fidelity", "2"], "--fidelity must be from 0 to 1"),
        (["stylize", "wall.png"], "stylize needs a style"),
    ],
)
def test_what_cannot_be_is_named_before_the_work(
    arguments: list[str], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("notes.txt").write_text("mine")
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and captured.err.count("\n") == 1
    assert names(tmp_path) == {"notes.txt", "wall.png", "grey.png"}
