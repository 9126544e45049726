# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""folder:PATH: one folder per class, with and without a test folder, and every file that does not fit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stic_fast.data import load
from stic_fast.data.class_names import find_class
from stic_fast.errors import InputError


def save(path: Path, pixels: np.ndarray | Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path)
    return path


def grey(value: int, *, height: int = 4, width: int = 5) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def write_two_classes(path: Path, *, count: int = 2) -> None:
    for k in range(count):
        save(path / "cat" / f"{k}.png", grey(k))
        save(path / "ant" / f"{k}.png", grey(100 + k))


def test_classes_are_the_sorted_folders_and_a_tenth_is_held_out(tmp_path: Path) -> None:
    for name, count, base in (("cat", 20, 0), ("ant", 10, 100)):
        for k in range(count):
            save(tmp_path / name / f"{k:02}.png", grey(base + k))
    splits = load(f"folder:{tmp_path}")
    assert splits.train.class_names == ("ant", "cat")
    assert splits.train.image_shape == (1, 4, 5)
    assert splits.test.images[:, 0, 0, 0].tolist() == [105, 5, 15]
    assert splits.test.labels.tolist() == [0, 1, 1]
    assert splits.train.images[:, 0, 0, 0].tolist() == [
        *(v for v in range(100, 110) if v != 105),
        *(v for v in range(20) if v not in (5, 15)),
    ]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif", ".ppm", ".PNG"])
def test_colour_round_trip(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    for k, image in enumerate(pixels):
        file = tmp_path / "only" / f"{k}{suffix}"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(file, lossless=True)  # WebP's; the others pass over it
    splits = load(f"folder:{tmp_path}")
    held_out = 1
    assert torch.equal(splits.test.images[0], torch.from_numpy(pixels[held_out]).permute(2, 0, 1))
    assert torch.equal(splits.train.images, torch.from_numpy(pixels[[0, 2]]).permute(0, 3, 1, 2))
    assert splits.train.images.is_contiguous()


def test_jpeg_is_read_closely(tmp_path: Path) -> None:
    for k in range(2):
        save(tmp_path / "only" / f"{k}.jpeg", np.full((8, 8, 3), (200, 100, 50), np.uint8))
    assert (load(f"folder:{tmp_path}").train.images[0, :, 3, 3] - torch.tensor([200, 100, 50])).abs().max() <= 4


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_train_beside_test_or_val(tmp_path: Path, held_out: str) -> None:
    write_two_classes(tmp_path / "train")
    write_two_classes(tmp_path / held_out, count=1)
    splits = load(f"folder:{tmp_path}")
    assert splits.train.images[:, 0, 0, 0].tolist() == [100, 101, 0, 1]
    assert splits.test.images[:, 0, 0, 0].tolist() == [100, 0]
    assert splits.train.labels.tolist() == [0, 0, 1, 1]
    assert (splits.train.class_names, splits.test.labels.tolist()) == (("ant", "cat"), [0, 1])


def test_test_goes_before_val(tmp_path: Path) -> None:
    for part, count in (("train", 2), ("test", 3), ("val", 1)):
        write_two_classes(tmp_path / part, count=count)
    assert len(load(f"folder:{tmp_path}").test) == 6


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "test", "bus"):
        for k in range(2):
            save(tmp_path / name / f"{k}.png", grey(k))
    assert load(f"folder:{tmp_path}").train.class_names == ("bus", "test", "train")


def test_hidden_and_foreign_files_are_ignored(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    for name in (".DS_Store", "cat/.hidden.png", "cat/Thumbs.db", "labels.txt", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    splits = load(f"folder:{tmp_path}")
    assert (splits.train.class_names, len(splits.train) + len(splits.test)) == (("ant", "cat"), 4)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1] = (10, 20, 30, 0)
    pixels[0, 2] = (0, 0, 0, 51)
    palette = Image.new("P", (3, 1), 0)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    save(tmp_path / "only" / "0.png", pixels)
    save(tmp_path / "only" / "1.png", palette)
    splits = load(f"folder:{tmp_path}")
    assert splits.train.images[0, :, 0].T.tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]
    assert splits.test.images[0, :, 0].T.tolist() == [[10, 20, 30]] * 3


def test_palette_with_transparency_and_grey_with_alpha(tmp_path: Path) -> None:
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    for k in range(2):
        (tmp_path / "colour" / "only").mkdir(parents=True, exist_ok=True)
        palette.save(tmp_path / "colour" / "only" / f"{k}.png", transparency=b"\x00\xff")
        save(tmp_path / "grey" / "only" / f"{k}.png", np.array([[[7, 255], [7, 0]]], np.uint8))
    assert load(f"folder:{tmp_path / 'colour'}").train.images[0, :, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]
    assert load(f"folder:{tmp_path / 'grey'}").train.images[0, 0, 0].tolist() == [7, 255]


def test_black_and_white_is_grey(tmp_path: Path) -> None:
    for k in range(2):
        save(tmp_path / "only" / f"{k}.png", Image.fromarray(np.array([[True, False]])))
    assert load(f"folder:{tmp_path}").train.images[0, 0, 0].tolist() == [255, 0]


def test_mixed_sizes_name_the_first_two_files(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    save(tmp_path / "cat" / "1.png", grey(1, height=6))
    with pytest.raises(InputError, match=r"ant.0\.png is 5x4 but .*cat.1\.png is 5x6"):
        load(f"folder:{tmp_path}")


def test_sizes_are_compared_across_train_and_test(tmp_path: Path) -> None:
    write_two_classes(tmp_path / "train")
    write_two_classes(tmp_path / "test")
    save(tmp_path / "test" / "ant" / "0.png", grey(0, width=9))
    with pytest.raises(InputError, match=r"train.ant.0\.png is 5x4 but .*test.ant.0\.png is 9x4"):
        load(f"folder:{tmp_path}")


def test_grey_among_coloured(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    save(tmp_path / "cat" / "0.png", np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(InputError, match=r"ant.0\.png is grey but .*cat.0\.png is coloured"):
        load(f"folder:{tmp_path}")


def test_sixteen_bits(tmp_path: Path) -> None:
    save(tmp_path / "only" / "0.png", np.full((4, 5), 1000, np.uint16))
    with pytest.raises(InputError, match=r"0\.png .*mode I;16"):
        load(f"folder:{tmp_path}")


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "postscript"])
def test_unreadable_image_is_named(tmp_path: Path, damage: str) -> None:
    write_two_classes(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    file = save(tmp_path / "cat" / "1.png", noise)
    cut = file.read_bytes()[:1000]
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n%%EndComments\n%%EOF\n"
    file.write_bytes({"text": b"no image", "empty": b"", "cut": cut, "postscript": postscript}[damage])
    with pytest.raises(InputError, match=r"cat.1\.png cannot be read"):
        load(f"folder:{tmp_path}")


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no images; .*CLASS"):
        load(f"folder:{tmp_path}")


def test_class_without_images(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    (tmp_path / "bee").mkdir()
    (tmp_path / "bee" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"bee holds no images; .*\.png"):
        load(f"folder:{tmp_path}")


def test_loose_image(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    save(tmp_path / "stray.png", grey(0))
    with pytest.raises(InputError, match=r"stray\.png .*CLASS"):
        load(f"folder:{tmp_path}")


def test_nested_folder(tmp_path: Path) -> None:
    write_two_classes(tmp_path)
    save(tmp_path / "cat" / "wild" / "0.png", grey(0))
    with pytest.raises(InputError, match=r"wild .*cat"):
        load(f"folder:{tmp_path}")


def test_train_alone(tmp_path: Path) -> None:
    write_two_classes(tmp_path / "train")
    with pytest.raises(InputError, match=r"neither test nor val; .*folder:.*train "):
        load(f"folder:{tmp_path}")
    assert len(load(f"folder:{tmp_path / 'train'}").train) == 2


@pytest.mark.parametrize(("lacking", "other"), [("train", "test"), ("test", "train")])
def test_train_and_test_with_other_classes(tmp_path: Path, lacking: str, other: str) -> None:
    write_two_classes(tmp_path / "train")
    write_two_classes(tmp_path / "test")
    save(tmp_path / other / "dog" / "0.png", grey(0))
    with pytest.raises(InputError, match=f"{lacking} lacks .*'dog'"):
        load(f"folder:{tmp_path}")


def test_a_file_instead_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one\.png is a file"):
        load(f"folder:{save(tmp_path / 'one.png', grey(0))}")


def test_single_images_leave_nothing_to_hold_out(tmp_path: Path) -> None:
    write_two_classes(tmp_path, count=1)
    with pytest.raises(InputError, match="hold out"):
        load(f"folder:{tmp_path}")


def test_names_in_other_encodings_are_written_out(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"tea"):
        folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"im\xe9gs", name)))
        folder.mkdir(parents=True)
        for number in range(2):
            Image.new("L", (4, 4), number).save(folder / f"{number}.png")
    train = load(f"folder:{folder.parent}").train
    assert train.class_names == (r"caf\udce9", "tea") and r"im\udce9gs" in train.name
    assert find_class("caf\udce9", train.class_names) == find_class(r"caf\udce9", train.class_names) == 0
