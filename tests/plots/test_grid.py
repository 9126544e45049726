# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Grids put every pixel where it belongs, keep labels apart, and are written whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stic_fast.errors import InputError
from stic_fast.plots import image_grid, save_grid
from stic_fast.plots.grid import BACKGROUND, FRAME, write_png


def noise(count: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


def rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def rows_with_ink(pixels: np.ndarray) -> list[tuple[int, int]]:
    """Start and end of every run of pixel rows that hold something dark."""
    dark = np.flatnonzero((pixels < 150).any(axis=(1, 2)))
    breaks = np.flatnonzero(np.diff(dark) > 1)
    starts, ends = np.r_[dark[:1], dark[breaks + 1]], np.r_[dark[breaks], dark[-1:]]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("scale", "padding"), [(1, 0), (3, 2)])
def test_every_pixel_is_enlarged_in_its_place(channels: int, scale: int, padding: int) -> None:
    images = noise(5, channels, 4, 6)
    pixels = np.asarray(image_grid(images, columns=3, scale=scale, padding=padding))
    high, wide = 4 * scale, 6 * scale
    assert pixels.shape == (2 * high + 3 * padding, 3 * wide + 4 * padding, 3)
    for number in range(5):
        top = padding + number // 3 * (high + padding)
        left = padding + number % 3 * (wide + padding)
        wanted = images[number].expand(3, 4, 6).repeat_interleave(scale, 1).repeat_interleave(scale, 2).permute(1, 2, 0)
        assert np.array_equal(pixels[top : top + high, left : left + wide], wanted.numpy())


def test_frame_surrounds_tiles_and_the_missing_ones_stay_blank() -> None:
    pixels = np.asarray(image_grid(noise(3, 1, 4, 4), columns=2, scale=2, padding=3))
    assert (pixels[:3, :] == rgb(FRAME)).all()
    assert (pixels[:, 11:14] == rgb(FRAME)).all()
    assert (pixels[14:, 14:] == rgb(BACKGROUND)).all()


@pytest.mark.parametrize(
    ("height", "width", "side"), [(8, 8, 48), (28, 28, 56), (32, 32, 64), (224, 224, 224), (8, 100, 8)]
)
def test_scale_chosen_brings_tiles_near_48_pixels(height: int, width: int, side: int) -> None:
    assert image_grid(noise(1, 1, height, width), columns=1, padding=0).height == side


def test_row_labels_stand_beside_their_rows() -> None:
    images = torch.full((3, 3, 8, 8), 255, dtype=torch.uint8)
    picture = image_grid(images, columns=1, row_labels=["x", "x", "x"])
    pixels = np.asarray(picture)
    margin = (picture.height - (3 * 50 + 2)) // 2
    runs = rows_with_ink(pixels)
    assert len(runs) == 3
    for row, (start, end) in enumerate(runs):
        assert abs((start + end) / 2 - (margin + 2 + row * 50 + 24)) < 4


def test_labels_of_tiny_tiles_do_not_run_into_each_other() -> None:
    images = torch.full((12, 1, 2, 2), 255, dtype=torch.uint8)
    rows = np.asarray(image_grid(images, columns=3, scale=1, row_labels=["gjM"] * 4))
    assert len(rows_with_ink(rows)) == 4
    upright = np.asarray(image_grid(images, columns=3, scale=1, column_labels=["gjM"] * 3))
    assert len(rows_with_ink(upright.swapaxes(0, 1))) == 3


def test_wide_column_labels_stand_upright_and_narrow_ones_lie() -> None:
    images = torch.full((3, 1, 8, 8), 255, dtype=torch.uint8)
    plain = image_grid(images, columns=3)
    lying = image_grid(images, columns=3, column_labels=["a", "b", "c"])
    upright = image_grid(images, columns=3, column_labels=["automobile", "b", "c"])
    assert 0 < lying.height - plain.height < 45
    assert upright.height - lying.height > 50
    assert upright.width == lying.width


def test_nothing_is_clipped_at_the_edges() -> None:
    picture = image_grid(
        torch.full((4, 1, 8, 8), 255, dtype=torch.uint8),
        columns=2,
        row_labels=["a rather long name, gjpq", "b"],
        column_labels=["automobile", "quay"],
        title="A title that is a good deal wider than the two tiles it stands above, and Incomprehensibilities",
    )
    pixels = np.asarray(picture)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edges == 255).all()
    assert (pixels < 100).any()


def test_long_title_is_broken_into_lines_and_never_cut() -> None:
    images = noise(1, 1, 8, 8)
    short = image_grid(images, columns=1, title="word")
    long = image_grid(images, columns=1, title="word " * 40)
    assert long.width < 400
    assert long.height > short.height + 60
    unbreakable = image_grid(images, columns=1, title="w" * 60)
    assert unbreakable.width > 500


def test_line_breaks_in_labels_count_as_blanks() -> None:
    images = noise(1, 1, 8, 8)
    options = {"columns": 1, "row_labels": ["two\nlines"], "column_labels": ["c\nd"], "title": "e\nf"}
    flat = {"columns": 1, "row_labels": ["two lines"], "column_labels": ["c d"], "title": "e f"}
    assert image_grid(images, **options).tobytes() == image_grid(images, **flat).tobytes()


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (noise(1, 2, 8, 8), {}, r"C = 1 or 3, got torch.uint8 \(1, 2, 8, 8\)"),
        (noise(1, 1, 8, 8).float(), {}, "got torch.float32"),
        (noise(1, 1, 8, 8)[0], {}, r"got torch.uint8 \(1, 8, 8\)"),
        ([1, 2], {}, "got list"),
        (noise(0, 1, 8, 8), {}, "at least one image"),
        (noise(2, 1, 8, 8), {"columns": 0}, "columns"),
        (noise(2, 1, 8, 8), {"scale": 0}, "scale"),
        (noise(2, 1, 8, 8), {"padding": -1}, "padding"),
        (noise(3, 1, 8, 8), {"row_labels": ["a"]}, "row_labels .* 1"),
        (noise(3, 1, 8, 8), {"column_labels": ["a"] * 3}, "column_labels .* 3"),
        (noise(3, 1, 8, 8), {"row_labels": []}, "row_labels .* 0"),
    ],
)
def test_bad_input_is_named(images: Tensor, options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_grid(images, **{"columns": 2, **options})


def test_save_grid_writes_the_same_picture_and_replaces_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"older")
    options = {"columns": 2, "row_labels": ["a", "b"], "column_labels": ["c", "d"], "title": "t", "scale": 2}
    save_grid(path, noise(4, 3, 8, 8), **options)
    with Image.open(path) as written:
        assert written.format == "PNG"
        assert written.tobytes() == image_grid(noise(4, 3, 8, 8), **options).tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    path.write_bytes(b"older")

    def full_disk(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_png(path, full_disk)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_grid(tmp_path / "none" / "grid.png", noise(1, 1, 8, 8), columns=1)
    with pytest.raises(InputError, match=r"grid\.jpg"):
        save_grid(tmp_path / "grid.jpg", noise(1, 1, 8, 8), columns=1)
    assert list(tmp_path.iterdir()) == []
