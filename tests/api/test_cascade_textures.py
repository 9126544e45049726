# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Textures of a trained cascade: of any size, the same by every way to ask, seamless, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import stic_fast
from stic_fast import api
from stic_fast.cli.main import main
from stic_fast.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

TINY: dict[str, Any] = {
    "passes": 2,
    "iterations": 3,
    "batch_size": 2,
    "network.channels": (4, 8),
    "patches.side": 18,
    "negatives.chains": 2,
    "negatives.stop": 1.0,
    "sampler.steps": 6,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "wall.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    return stic_fast.train("igm", data=f"image:{source}", out=tmp_path_factory.mktemp("run") / "wall", **TINY)


def test_a_texture_of_any_size(run: api.Run) -> None:
    previews: list[Tensor] = []
    drawn = stic_fast.texture(run, size=(19, 40), seed=3, on_preview=previews.append)
    assert drawn.shape == (3, 19, 40) and drawn.dtype == torch.uint8
    again = stic_fast.texture(stic_fast.load(run.folder.path), size=(19, 40), seed=3, tile=True)
    assert (again.int() - drawn.int()).abs().max() <= 1
    assert (stic_fast.texture(run, size=(19, 40), seed=4) != drawn).float().mean() > 0.5
    assert previews and previews[0].shape == drawn.shape


def test_the_command_draws_the_same(run: api.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["texture", "--run", str(run.folder.path), "--size", "20x30", "--seed", "1"]) == 0
    with Image.open("wall_texture_seed1.png") as picture:
        drawn = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
    wanted = stic_fast.texture(run, size=(20, 30), seed=1)
    assert (drawn.int() - wanted.int()).abs().max() <= 1


def test_the_command_trains_a_cascade_once(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[dict[str, Any]] = []

    def small(method: str, **options: Any) -> api.Run:
        asked.append({"method": method, **options})
        return stic_fast.train(method, data=options["data"], out=options["out"], **TINY)

    monkeypatch.setattr("stic_fast.cli.texture.train", small)
    for _ in range(2):
        assert main(["texture", str(source), "--engine", "igm", "--size", "18x18", "--out", "x.png"]) == 0
    (only,) = asked
    assert (only["method"], only["preset"], only["data"]) == ("igm", "texture", f"image:{source}")
    assert Path("runs/igm-wall-0/config.json").exists() and "picture: x.png" in capsys.readouterr().out


def test_what_is_refused(
    run: api.Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="engine igm draws with a cascade that has been trained; give the run"):
        stic_fast.texture(source, engine="igm")
    with pytest.raises(InputError, match=r"a patch must fit into the canvas, \(17, 40\), got \(18, 18\)"):
        stic_fast.texture(run, size=(17, 40))
    with monkeypatch.context() as patch, pytest.raises(InputError, match="a canvas of 20x30 pixels needs about"):
        patch.setattr("stic_fast.memory.available", lambda _: 1000.0)
        stic_fast.texture(run, size=(20, 30))
    for line, message in (
        (["--run", str(run.folder.path), str(source)], "draws the texture that it was trained on; leave out"),
        ([], "texture needs a source: give an image file, or --run"),
    ):
        assert main(["texture", *line, "--out", str(tmp_path / "x.png")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_a_run_that_draws_images_of_one_size(tiny_run: api.Run) -> None:
    with pytest.raises(InputError, match=r"is a run of \w+, which draws images of one size; give a run of igm"):
        stic_fast.texture(tiny_run)


def test_a_cascade_with_a_margin_does_not_tile(source: Path, tmp_path: Path) -> None:
    settings = {**TINY, "passes": 1, "patches.margin": 4}
    run = stic_fast.train("igm", data=f"image:{source}", out=tmp_path / "run", **settings)
    assert stic_fast.texture(run, size=(16, 40)).shape == (3, 16, 40)
    with pytest.raises(InputError, match=r"patches\.margin=4, so what it draws does not tile"):
        stic_fast.texture(run, size=(16, 40), tile=True)


def test_one_image_gives_no_statistics(run: api.Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run.folder.path)]) == 2
    assert "was trained on one image, which gives no statistics; score what it draws by" in capsys.readouterr().err


def test_before_the_first_round_there_is_noise(run: api.Run) -> None:
    drawn = stic_fast.texture(run.after_pass(0), size=(40, 40)).float() / 127.5 - 1
    assert abs(drawn.std().item() - 0.3) < 0.02


def test_an_image_in_a_style(run: api.Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearer to the content the larger α is, and the content itself for 1."""
    content = torch.full((1, 22, 31), 200, dtype=torch.uint8)
    drawn = {share: stic_fast.stylize(content, run, fidelity=share).float() for share in (0.0, 0.9, 1.0)}
    apart = {share: (image - 200).abs().mean().item() for share, image in drawn.items()}
    assert drawn[0.0].shape == (3, 22, 31) and apart[0.0] > apart[0.9] > apart[1.0] == 0
    assert torch.equal(stic_fast.stylize(content, run), stic_fast.stylize(content, run, fidelity=0.95))
    monkeypatch.chdir(tmp_path)
    assert main(["stylize", str(source), "--run", str(run.folder.path), "--size", "19x25", "--fidelity", "0.2"]) == 0
    with Image.open("wall_as_wall.png") as picture:
        styled = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
    wanted = stic_fast.stylize(source, run, size=(19, 25), fidelity=0.2)
    assert (styled.int() - wanted.int()).abs().max() <= 1


def test_a_style_that_is_missing(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", str(source)]) == 2
    assert "stylize needs a style: give an image file, or --run" in capsys.readouterr().err
