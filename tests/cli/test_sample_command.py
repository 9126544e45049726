# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""`sample` and `interpolate` write what was asked for, whatever the batch size and whatever else was asked."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stic_fast.api import load
from stic_fast.api.image_files import write_images
from stic_fast.api.image_folder import ImageFolder
from stic_fast.cli.drawing import find_classes
from stic_fast.cli.main import main
from stic_fast.plots import image_grid
from stic_fast.training import ImageSampler, Progress, open_run


def drawn(run: Path, out: Path, *options: str) -> tuple[np.ndarray, np.ndarray]:
    assert main(["sample", str(run), "--out", str(out), *options]) == 0
    with np.load(out) as arrays:
        assert list(arrays) == ["arr_0", "arr_1"]
        return arrays["arr_0"], arrays["arr_1"]


def test_npz_layout(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, labels = drawn(tiny_run, tmp_path / "x.npz", "--labels", "8,0,3", "--n", "7")
    assert images.shape == (7, 8, 8, 1) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and labels.tolist() == [8, 8, 8, 0, 0, 3, 3]
    assert len(np.unique(images.reshape(7, -1), axis=0)) == 7
    captured = capsys.readouterr()
    assert captured.out == f"7 images in {tmp_path / 'x.npz'}\n" and captured.err == ""
    assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]


def test_images_depend_on_neither_batch_nor_company(tiny_run: Path, tmp_path: Path) -> None:
    together, labels = drawn(tiny_run, tmp_path / "a.npz", "--n", "30")
    assert labels.tolist() == np.arange(10).repeat(3).tolist()
    in_batches, _ = drawn(tiny_run, tmp_path / "b.npz", "--n", "30", "--batch-size", "7")
    assert np.array_equal(together, in_batches)
    alone, _ = drawn(tiny_run, tmp_path / "c.npz", "--labels", "4", "--n", "2")
    assert np.array_equal(alone, together[labels == 4][:2])
    of_other_seed, _ = drawn(tiny_run, tmp_path / "d.npz", "--n", "30", "--seed", "1")
    assert (of_other_seed != together).reshape(30, -1).any(1).all()


def test_steps_are_those_asked_for(tiny_run: Path, tmp_path: Path) -> None:
    default, _ = drawn(tiny_run, tmp_path / "a.npz", "--n", "2")
    configured, _ = drawn(tiny_run, tmp_path / "b.npz", "--n", "2", "--steps", "2")
    longer, _ = drawn(tiny_run, tmp_path / "c.npz", "--n", "2", "--steps", "3")
    canvas, _ = drawn(tiny_run, tmp_path / "d.npz", "--n", "2", "--steps", "0")
    assert np.array_equal(default, configured)
    assert not np.array_equal(default, longer) and not np.array_equal(default, canvas)


def test_precision_and_layout_are_those_asked_for(tiny_run: Path, tmp_path: Path) -> None:
    configured, _ = drawn(tiny_run, tmp_path / "a.npz", "--n", "20")
    full, _ = drawn(tiny_run, tmp_path / "b.npz", "--n", "20", "--precision", "fp32", "--layout", "plain")
    half, _ = drawn(tiny_run, tmp_path / "c.npz", "--n", "20", "--precision", "bf16", "--layout", "channels_last")
    again, _ = drawn(tiny_run, tmp_path / "d.npz", "--n", "20", "--precision", "bf16", "--layout", "channels_last")
    assert np.array_equal(configured, full) and np.array_equal(half, again)
    differences = np.abs(half.astype(int) - full.astype(int))
    assert differences.any() and differences.mean() < 0.5
    run = open_run(tiny_run)
    labels = torch.arange(10).repeat_interleave(2)
    image_sampler = ImageSampler(run, 0, precision="bf16", layout="channels_last")
    assert np.array_equal(image_sampler.of_classes(labels, Progress()).permute(0, 2, 3, 1).numpy(), half)


def test_samples_are_not_the_training_pictures(tiny_run: Path) -> None:
    """Chains of samples share no noise with those of the grid that training drew with the same seed."""
    run = open_run(tiny_run)
    fresh = ImageSampler(run, run.config.seed).of_classes(torch.arange(10).repeat_interleave(10), Progress())
    grid = image_grid(fresh, columns=10, row_labels=run.splits.train.class_names)
    with Image.open(tiny_run / "samples" / "pass_002.png") as of_training:
        assert of_training.size == grid.size and of_training.tobytes() != grid.tobytes()


def test_grid_has_rows_per_class(tiny_run: Path, tmp_path: Path) -> None:
    options = ["--labels", "3,8", "--n", "7"]
    images, _ = drawn(tiny_run, tmp_path / "x.npz", *options)
    assert main(["sample", str(tiny_run), *options, "--out", str(tmp_path / "new" / "grid.PNG")]) == 0
    tiles = torch.from_numpy(images).permute(0, 3, 1, 2)
    tiles = torch.cat([tiles, torch.full_like(tiles[:1], 255)])
    expected = image_grid(tiles, columns=4, row_labels=["3", "8"])
    with Image.open(tmp_path / "new" / "grid.PNG") as grid:
        assert grid.tobytes() == expected.tobytes()


def test_many_images_of_a_class_take_several_rows(tmp_path: Path) -> None:
    images = torch.arange(45, dtype=torch.uint8).view(45, 1, 1, 1).expand(45, 3, 2, 2).contiguous()
    write_images(tmp_path / "x.png", images, torch.tensor([1] * 23 + [0] * 22), ["cat", "dog"])
    white = torch.full((20, 3, 2, 2), 255, dtype=torch.uint8)
    tiles = torch.cat([images[:23], white[:17], images[23:], white[:18]])
    expected = image_grid(tiles, columns=20, row_labels=["dog", "", "cat", ""])
    with Image.open(tmp_path / "x.png") as grid:
        assert grid.tobytes() == expected.tobytes()


def test_folder_of_pngs(tiny_run: Path, tmp_path: Path) -> None:
    options = ["--labels", "8,3", "--n", "3"]
    images, _ = drawn(tiny_run, tmp_path / "x.npz", *options)
    folder = tmp_path / "pictures"
    assert main(["sample", str(tiny_run), *options, "--out", str(folder)]) == 0
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["00000_8.png", "00001_8.png", "00002_3.png"]
    for file, pixels in zip(files, images, strict=True):
        with Image.open(file) as picture:
            assert np.array_equal(np.asarray(picture), pixels[:, :, 0])


def test_folder_of_colour_pngs(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with ImageFolder(tmp_path / "colour", torch.tensor([0, 1]), {}) as folder:
        folder.write(torch.arange(2), images)
    with Image.open(tmp_path / "colour" / "00001_1.png") as picture:
        assert np.array_equal(np.asarray(picture), images[1].permute(1, 2, 0).numpy())


def test_an_animation_beside_the_images(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--labels", "8,3", "--n", "4", "--steps", "6"]
    alone, _ = drawn(tiny_run, tmp_path / "alone.npz", *options)
    capsys.readouterr()
    film, out = tmp_path / "new" / "film.webp", tmp_path / "x.npz"
    more = ["--animate", str(film), "--frames", "3", "--batch-size", "3"]
    images, labels = drawn(tiny_run, out, *options, *more)
    assert np.array_equal(images, alone) and labels.tolist() == [8, 8, 3, 3]
    assert capsys.readouterr().out == f"4 images in {out}\n3 frames in {film}\n"
    assert [file.name for file in film.parent.iterdir()] == ["film.webp"]
    of_python = tmp_path / "python.webp"
    load(tiny_run).sample(["8", "3"], n=2, steps=6, animate=of_python, frames=3)
    assert film.read_bytes() == of_python.read_bytes()
    with Image.open(film) as frames:
        frames.seek(2)
        last = frames.convert("RGB")
    tiles = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert last.tobytes() == image_grid(tiles, columns=2, row_labels=["8", "3"]).tobytes()


def test_an_animation_that_cannot_be_written_loses_no_image(
    own_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film, out = tmp_path / "film.gif", tmp_path / "x.npz"
    film.write_bytes(b"older")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full_disk)
        assert main(["sample", str(own_run), "--n", "2", "--out", str(out), "--animate", str(film)]) == 2
    told = capsys.readouterr()
    assert told.out == f"2 images in {out}\n" and "No space left on device" in told.err and told.err.count("\n") == 1
    assert film.read_bytes() == b"older" and sorted(tmp_path.glob("*.*")) == [film, out]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--animate", "film.mp4"], "film.mp4; let it end in .webp or .gif"),
        (["--animate", "film.webp", "--frames", "1"], "--frames must be from 2 to 1000, got 1"),
        (["--animate", "film.webp", "--steps", "0"], "give steps above 0"),
        (["--animate", "film.webp", "--out", "new"], "--animate does not go with a folder of images"),
        (["--frames", "5"], "give animate too"),
        (["--animate", "/proc/film.webp"], "/proc"),
    ],
)
def test_an_animation_that_cannot_be_is_refused_before_anything_is_drawn(
    options: list[str],
    told: str,
    tiny_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ImageSampler, "_draw", lambda *_: pytest.fail("drawing was begun"))
    capsys.readouterr()
    assert main(["sample", str(tiny_run), *options]) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_default_outputs_lie_in_the_run(own_run: Path) -> None:
    assert main(["sample", str(own_run), "--n", "3", "--seed", "2"]) == 0
    assert (own_run / "samples" / "sample_seed2.png").exists()
    assert main(["interpolate", str(own_run), "--from", "3", "--to", "8", "--n", "1"]) == 0
    assert (own_run / "samples" / "interpolate_3_8_seed0.png").exists()


def test_interpolation_grid(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "paths.png"
    options = ["--from", "3", "--to", "8", "--n", "2", "--frames", "5", "--batch-size", "3", "--out", str(out)]
    assert main(["interpolate", str(tiny_run), *options]) == 0
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    frames = ImageSampler(open_run(tiny_run), 0).of_paths(3, 8, 2, shares, Progress())
    labels = ["0%", "25%", "50%", "75%", "100%"]
    expected = image_grid(frames, columns=5, column_labels=labels, title="from 3 to 8: share of 8")
    with Image.open(out) as grid:
        assert grid.tobytes() == expected.tobytes()


def test_frames_of_a_path_share_their_noise(tiny_run: Path) -> None:
    canvases = ImageSampler(open_run(tiny_run), seed=0, steps=0).of_paths(3, 8, 2, [0.0, 0.5, 1.0], Progress())
    assert torch.equal(canvases[:3], canvases[:1].expand(3, -1, -1, -1))
    assert not torch.equal(canvases[0], canvases[3])
    frames = ImageSampler(open_run(tiny_run), seed=0, steps=2).of_paths(3, 8, 2, [0.0, 0.5, 1.0], Progress())
    assert not torch.equal(frames[0], frames[1]) and not torch.equal(frames[1], frames[2])


def test_names_of_classes() -> None:
    names = ("dog", "2", "cat")
    assert find_classes("cat,dog", names) == [2, 0]
    assert find_classes("2, 0", names) == [1, 0], "a name wins over a number"


def test_an_older_picture_is_replaced_whole(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = own_run / "x.npz"
    out.write_bytes(b"old")

    def broken(*_: object) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", broken)
        assert main(["sample", str(own_run), "--n", "1", "--out", str(out)]) == 2
    assert out.read_bytes() == b"old"
    assert not list(own_run.glob(".x*"))
    assert drawn(own_run, out, "--n", "1")[1].tolist() == [0]


def test_a_run_without_checkpoint_says_so(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_run / "checkpoints").rename(own_run / "away")
    assert json.loads((own_run / "config.json").read_text())["method"] == "stic"
    assert main(["sample", str(own_run)]) == 2
    assert "has no checkpoint yet" in capsys.readouterr().err
