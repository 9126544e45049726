# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Drawn images are a tensor like any other, keep their labels, show themselves and save themselves."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stic_fast import Images
from stic_fast.api.images import SHOWN
from stic_fast.errors import InputError
from stic_fast.plots import image_grid

BYTES = torch.arange(5 * 3 * 8 * 8).to(torch.uint8).view(5, 3, 8, 8)
LABELS = torch.tensor([1, 0, 1, 2, 1])
NAMES = ["cat", "dog", "owl"]


@pytest.fixture
def images() -> Images:
    return Images(BYTES.clone(), LABELS, NAMES)


def test_a_tensor_like_any_other(images: Images) -> None:
    assert isinstance(images, Tensor) and images.shape == BYTES.shape and images.dtype == torch.uint8
    assert torch.equal(images, BYTES) and np.array_equal(np.asarray(images), BYTES.numpy())
    for computed in (images.float(), images + 1, torch.stack([images, images]), images.mean((1, 2, 3), dtype=float)):
        assert type(computed) is Tensor
    batches = list(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, images.labels), batch_size=3))
    assert [len(batch) for batch, _ in batches] == [3, 2] and torch.equal(batches[1][1], LABELS[3:])
    assert repr(images) == str(images) == "Images((5, 3, 8, 8), uint8, {'dog': 3, 'cat': 1, 'owl': 1})"


@pytest.mark.parametrize("place", [slice(1, 4), LABELS == 1, torch.tensor([4, 0]), [2]])
def test_parts_keep_their_labels(images: Images, place: slice | Tensor | list[int]) -> None:
    part = images[place]
    assert isinstance(part, Images) and part.class_names == tuple(NAMES)
    assert torch.equal(part, BYTES[place]) and torch.equal(part.labels, LABELS[place])


def test_single_images_pixels_and_nothing_are_plain_tensors(images: Images) -> None:
    for part in (images[0], images[:, 0], images[1:1], images[0, 0, 0, 0]):
        assert type(part) is Tensor
    assert [type(image) for image in images] == [Tensor] * 5


def test_copies_keep_their_labels(images: Images) -> None:
    for other in (copy.copy(images), copy.deepcopy(images), pickle.loads(pickle.dumps(images))):
        assert isinstance(other, Images) and torch.equal(other, BYTES)
        assert torch.equal(other.labels, LABELS) and other.class_names == tuple(NAMES)
    deep = copy.deepcopy(images)
    deep[0, 0, 0, 0] = 9
    assert images[0, 0, 0, 0] == 0


def test_a_notebook_shows_a_grid_of_the_classes(images: Images) -> None:
    with Image.open(io.BytesIO(images._repr_png_())) as shown:
        picture = np.asarray(shown)
    white = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    tiles = torch.cat([BYTES[LABELS == 1], BYTES[LABELS == 0], white, BYTES[LABELS == 2], white])
    expected = image_grid(tiles, columns=3, row_labels=["dog", "cat", "owl"])
    assert np.array_equal(picture, np.asarray(expected))
    assert np.array_equal(picture, np.asarray(images.grid()))


def test_a_notebook_shows_some_of_very_many() -> None:
    count = 2 * SHOWN
    labels = (torch.arange(count) % 2).sort().values
    many = Images(torch.zeros(count, 1, 8, 8, dtype=torch.uint8), labels, NAMES)
    with Image.open(io.BytesIO(many._repr_png_())) as shown:
        assert shown.height < many.grid().height


def test_files(images: Images, tmp_path: Path) -> None:
    assert images.save(tmp_path / "grid.png") == tmp_path / "grid.png"
    with Image.open(tmp_path / "grid.png") as grid:
        assert np.array_equal(np.asarray(grid), np.asarray(images.grid()))
    images.save(str(tmp_path / "deep" / "images.npz"))
    with np.load(tmp_path / "deep" / "images.npz") as arrays:
        assert np.array_equal(arrays["arr_0"], BYTES.permute(0, 2, 3, 1)) and arrays["arr_1"].tolist() == [
            1,
            0,
            1,
            2,
            1,
        ]
    folder = images.save(tmp_path / "folder")
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["00000_1.png", "00001_0.png", "00002_1.png", "00003_2.png", "00004_1.png"]
    with Image.open(folder / "00003_2.png") as image:
        assert np.array_equal(np.asarray(image), BYTES[3].permute(1, 2, 0))


def test_files_that_cannot_be(images: Images, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in ("x.jpg", "full", "file"):
        with pytest.raises(InputError, match=place):
            images.save(tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full", "mine.txt"]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (BYTES.float(), LABELS, "uint8"),
        (BYTES[0], LABELS, "uint8"),
        (BYTES, LABELS[:3], "labels"),
        (BYTES, LABELS.float(), "labels"),
    ],
)
def test_others_are_refused(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Images(images, labels, NAMES)
